#include "crypto/ades/pdf_testing.h"

#include <cstdio>

namespace karta::crypto::testing {
namespace {

std::string entry(std::size_t offset) {
  char line[32];
  std::snprintf(line, sizeof line, "%010zu 00000 n \n", offset);
  return line;
}

std::string object(int number, const std::string& body) {
  return std::to_string(number) + " 0 obj\n" + body + "\nendobj\n";
}

std::string stream(const std::string& content) {
  return "<</Length " + std::to_string(content.size()) + ">>\nstream\n" + content + "\nendstream";
}

std::map<int, std::string> plain_objects(std::size_t pages, const std::string& extra_catalog) {
  std::map<int, std::string> out;
  out[1] = "<</Type/Catalog/Pages 2 0 R" + extra_catalog + ">>";
  std::string kids;
  for (std::size_t i = 0; i < pages; ++i) kids += std::to_string(4 + 2 * i) + " 0 R ";
  out[2] = "<</Type/Pages/Count " + std::to_string(pages) + "/Kids[" + kids + "]>>";
  out[3] = "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>";
  for (std::size_t i = 0; i < pages; ++i) {
    const int number = static_cast<int>(4 + 2 * i);
    out[number] = "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<</Font<</F1 3 0 R>>>>/Contents " +
                  std::to_string(number + 1) + " 0 R>>";
    out[number + 1] =
        stream("BT /F1 14 Tf 72 720 Td (Sample contract, page " + std::to_string(i + 1) + ": the price is 100) Tj ET");
  }
  return out;
}

}  // namespace

std::string plain_pdf(std::size_t pages, const std::string& extra_catalog,
                      const std::map<int, std::string>& extra_objects) {
  std::map<int, std::string> objects = plain_objects(pages, extra_catalog);
  for (const auto& [number, body] : extra_objects) objects[number] = body;
  std::string out = "%PDF-1.7\n%\xE2\xE3\xCF\xD3\n";
  std::string table;
  int next = 0;
  table = "xref\n0 1\n0000000000 65535 f \n";
  for (const auto& [number, body] : objects) {
    table += std::to_string(number) + " 1\n" + entry(out.size());
    out += object(number, body);
    next = number + 1;
  }
  const std::size_t xref = out.size();
  return out + table + "trailer\n<</Size " + std::to_string(next) + "/Root 1 0 R>>\nstartxref\n" +
         std::to_string(xref) + "\n%%EOF\n";
}

std::string hybrid_pdf() {
  const std::map<int, std::string> objects = plain_objects(1, "");
  std::string out = "%PDF-1.7\n";
  std::string table = "xref\n0 1\n0000000000 65535 f \n";
  for (const auto& [number, body] : objects) {
    if (number == 3) {
      table += "3 1\n0000000000 65535 f \n";  // hidden
      continue;
    }
    table += std::to_string(number) + " 1\n" + entry(out.size());
    out += object(number, body);
  }
  const std::string inner = "3 0 " + objects.at(3);
  table += "6 1\n" + entry(out.size());
  out += object(
      6, "<</Type/ObjStm/N 1/First 4/Length " + std::to_string(inner.size()) + ">>\nstream\n" + inner + "\nendstream");
  const std::size_t hidden = out.size();
  table += "7 1\n" + entry(out.size());
  out += object(
      7, "<</Type/XRef/Size 8/W[1 2 1]/Index[3 1]/Length 4>>\nstream\n" + std::string("\2\0\6\0", 4) + "\nendstream");
  const std::size_t xref = out.size();
  return out + table + "trailer\n<</Size 8/Root 1 0 R/XRefStm " + std::to_string(hidden) + ">>\nstartxref\n" +
         std::to_string(xref) + "\n%%EOF\n";
}

std::string add_revision(const std::string& file, const std::map<int, std::string>& objects) {
  const std::size_t keyword = file.rfind("startxref");
  const std::string previous = std::to_string(std::stoul(file.substr(keyword + 9)));
  const std::size_t size = file.rfind("/Size ");
  int next = std::stoi(file.substr(size + 6));
  std::string out = file;
  std::string table = "xref\n";
  for (const auto& [number, body] : objects) {
    table += std::to_string(number) + " 1\n" + entry(out.size());
    out += object(number, body);
    next = std::max(next, number + 1);
  }
  const std::size_t xref = out.size();
  return out + table + "trailer\n<</Size " + std::to_string(next) + "/Root 1 0 R/Prev " + previous + ">>\nstartxref\n" +
         std::to_string(xref) + "\n%%EOF\n";
}

}  // namespace karta::crypto::testing
