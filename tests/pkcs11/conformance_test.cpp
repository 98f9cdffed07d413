// Conformance: for every function, every error PKCS #11 v3.0 §5 lists for it is provoked by a row here, or named in
// the table of those that cannot be, with the reason. A test holds the rows against the standard's lists, so that a
// pair nobody thought of is a failure; errors beyond the lists are named too.
#include "tests/pkcs11/conformance.h"

namespace karta::pkcs11 {

// Rows that every function of a kind has, made from the one list of functions.
std::vector<Row> generic_rows() {
  std::vector<Row> rows;
  const std::set<std::string_view> before_the_beginning = {"C_Initialize", "C_GetFunctionList", "C_GetInterfaceList",
                                                           "C_GetInterface"};
  const std::set<std::string_view> no_session = {"C_Finalize",         "C_GetInfo",         "C_GetSlotList",
                                                 "C_GetSlotInfo",      "C_GetTokenInfo",    "C_GetMechanismList",
                                                 "C_GetMechanismInfo", "C_InitToken",       "C_OpenSession",
                                                 "C_CloseAllSessions", "C_WaitForSlotEvent"};
  const auto add = [&](std::string_view name, std::function<CK_RV()> zeros,
                       std::function<CK_RV(CK_SESSION_HANDLE)> with) {
    if (before_the_beginning.contains(name)) return;
    rows.push_back({name, CKR_CRYPTOKI_NOT_INITIALIZED, [zeros](T&) {
                      EXPECT_EQ(C_Finalize(nullptr), CKR_OK);
                      return zeros();
                    }});
    if (no_session.contains(name)) return;
    rows.push_back({name, CKR_SESSION_HANDLE_INVALID, [with](T& t) { return with(t.session + 100); }});
    rows.push_back({name, CKR_DEVICE_REMOVED, [with](T& t) {
                      t.stale();
                      return with(t.session);
                    }});
    if (not_offered().contains(name)) {
      rows.push_back({name, CKR_FUNCTION_NOT_SUPPORTED, [with](T& t) { return with(t.session); }});
    }
  };
#define ADD(name, arity)                                    \
  add(                                                      \
      #name, [] { return Zeros<CK_##name>::call(::name); }, \
      [](CK_SESSION_HANDLE s) { return InSession<CK_##name>::call(::name, s); });
  KARTA_PKCS11_FUNCTIONS(ADD)
#undef ADD
  return rows;
}

namespace {

const std::vector<Row>& rows() {
  static const std::vector<Row> all = [] {
    std::vector<Row> some;
    for (const auto family : {generic_rows, general_rows, session_rows, digest_rows, object_rows, key_init_rows,
                              signature_rows, cipher_rows, key_rows}) {
      for (Row& row : family()) some.push_back(std::move(row));
    }
    for (Row& row : login_rows()) some.push_back(std::move(row));
    return some;
  }();
  return all;
}

// Calls that work on an operation which an ...Init call has begun.
bool is_step(std::string_view function) {
  static const std::set<std::string_view> steps = {
      "C_Sign",         "C_SignUpdate",   "C_SignFinal",     "C_Verify",      "C_VerifyUpdate", "C_VerifyFinal",
      "C_Digest",       "C_DigestUpdate", "C_DigestKey",     "C_DigestFinal", "C_Encrypt",      "C_EncryptUpdate",
      "C_EncryptFinal", "C_Decrypt",      "C_DecryptUpdate", "C_DecryptFinal"};
  return steps.contains(function);
}

TEST_F(ConformanceTest, EveryErrorComesAsTheRowsSay) {
  for (const Row& row : rows()) {
    SCOPED_TRACE(std::string(row.function) + ' ' + name_of_rv(row.error));
    begin_row();
    switch (row.card) {
      case Card::issued:
        fresh();
        break;
      case Card::rsa:
        fresh_rsa();
        break;
      case Card::blank:
        take_blank();
        begin();
        session = open();
        break;
      case Card::open_card:
        take_open();
        session = open();
        break;
    }
    const CK_RV rv = row.provoke(*this);
    EXPECT_EQ(name_of_rv(rv), name_of_rv(row.error));
    // §5.2: an operation ends with its first error, but for a buffer that is too small.
    const bool of_session = row.error == CKR_CRYPTOKI_NOT_INITIALIZED || row.error == CKR_SESSION_HANDLE_INVALID ||
                            row.error == CKR_DEVICE_REMOVED || row.error == CKR_DEVICE_ERROR;
    if (is_step(row.function) && !of_session) {
      EXPECT_EQ(active(row.function), row.error == CKR_BUFFER_TOO_SMALL);
    }
    if (reader_ != nullptr) reader_->instead = {};
    away();
  }
}

TEST_F(ConformanceTest, EveryErrorOfTheStandardHasARowOrAReason) {
  std::set<std::string_view> functions;
#define NAME(name, arity) functions.insert(#name);
  KARTA_PKCS11_FUNCTIONS(NAME)
#undef NAME
  std::set<std::pair<std::string_view, CK_RV>> provoked, listed, reasons, beyond;
  std::set<CK_RV> anywhere;
  for (const Row& row : rows()) provoked.insert({row.function, row.error});
  for (const Beyond& one : beyond_the_standard()) beyond.insert({one.function, one.error});
  for (const Reason& reason : cannot_be_provoked()) {
    EXPECT_FALSE(reason.why.empty());
    if (reason.function.empty()) {
      anywhere.insert(reason.error);
    } else {
      reasons.insert({reason.function, reason.error});
    }
  }
  for (const std::string_view function : functions) {
    SCOPED_TRACE(std::string(function));
    if (not_offered().contains(function)) {
      EXPECT_TRUE(provoked.contains({function, CKR_FUNCTION_NOT_SUPPORTED}));
      continue;
    }
    const auto standard = standard_errors().find(function);
    ASSERT_NE(standard, standard_errors().end());
    for (const CK_RV error : standard->second) {
      SCOPED_TRACE(name_of_rv(error));
      listed.insert({function, error});
      const bool row = provoked.contains({function, error}), own_reason = reasons.contains({function, error});
      EXPECT_TRUE(row || own_reason || anywhere.contains(error)) << "neither provoked nor explained";
      EXPECT_FALSE(row && own_reason) << "provoked, and yet called impossible";
    }
  }
  for (const auto& [function, error] : provoked) {
    if (not_offered().contains(function)) continue;
    EXPECT_TRUE(listed.contains({function, error}) || beyond.contains({function, error}))
        << function << ' ' << name_of_rv(error) << " is beyond the standard's list";
  }
  for (const auto& [function, error] : reasons) {
    EXPECT_TRUE(listed.contains({function, error})) << function << ' ' << name_of_rv(error) << " is in no list";
  }
  for (const auto& pair : beyond) {
    EXPECT_TRUE(provoked.contains(pair) && !listed.contains(pair)) << pair.first << ' ' << name_of_rv(pair.second);
  }
}

}  // namespace
}  // namespace karta::pkcs11
