// Bodies of calls, and receipts of visits as a back office gets them.
#include <nlohmann/json.hpp>

#include "daemon/request_body.h"
#include "daemon/visit_receipt.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace karta;
  const auto object = daemon::parse_object({data, size});
  if (!object) return 0;
  daemon::RequestBody body(*object);
  (void)body.text("medicine", 8);
  (void)body.integer_or("packages", 1, 255, 1);
  (void)body.boolean_or("all", false);
  (void)body.digits("can", 6, 6);
  (void)body.finish();
  (void)daemon::essence_of(*object, SecretBytes::copy_of(std::string_view("a key")), "deed");
  const auto receipt = daemon::VisitReceipt::from_json(*object);
  if (receipt) (void)daemon::verify_visit(*receipt, {});
  return 0;
}
