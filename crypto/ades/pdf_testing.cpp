#include "crypto/ades/pdf_testing.h"

#include <algorithm>
#include <cstdio>

#include "crypto/ades/pades.h"
#include "crypto/validation/verify_pdf.h"

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
    out[number + 1] = stream_body("BT /F1 14 Tf 72 720 Td (Sample contract, page " + std::to_string(i + 1) +
                                  ": the price is 100) Tj ET");
  }
  return out;
}

}  // namespace

std::string stream_body(const std::string& content, const std::string& more_keys) {
  return "<</Length " + std::to_string(content.size()) + more_keys + ">>\nstream\n" + content + "\nendstream";
}

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

std::string add_stream_revision(const std::string& file, const std::map<int, std::string>& objects) {
  const std::string previous = std::to_string(std::stoul(file.substr(file.rfind("startxref") + 9)));
  int next = std::stoi(file.substr(file.rfind("/Size ") + 6));
  for (const auto& [number, body] : objects) next = std::max(next, number + 1);
  const int container = next, table = next + 1;
  std::string head, bodies;
  for (const auto& [number, body] : objects) {
    head += std::to_string(number) + " " + std::to_string(bodies.size()) + " ";
    bodies += body + "\n";
  }
  const auto be32 = [](std::size_t value) {
    std::string out;
    for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift & 0xFF);
    return out;
  };
  std::string index, rows;
  std::size_t at = 0;
  for (const auto& [number, body] : objects) {
    index += std::to_string(number) + " 1 ";
    rows += '\2' + be32(static_cast<std::size_t>(container)) + be32(at++);
  }
  std::string out = file;
  index += std::to_string(container) + " 2";
  rows += '\1' + be32(out.size()) + be32(0);
  out += object(container, stream_body(head + bodies, "/Type/ObjStm/N " + std::to_string(objects.size()) + "/First " +
                                                          std::to_string(head.size())));
  const std::size_t xref = out.size();
  rows += '\1' + be32(xref) + be32(0);
  out += object(table, stream_body(rows, "/Type/XRef/W[1 4 4]/Index[" + index + "]/Size " + std::to_string(table + 1) +
                                             "/Root 1 0 R/Prev " + previous));
  return out + "startxref\n" + std::to_string(xref) + "\n%%EOF\n";
}

TestCentre& pdf_centre() {
  static TestCentre one(KeyType::p256, KeyType::p256);
  return one;
}

std::string sign_pdf(const std::string& file, pdf::SignatureRequest request) {
  PdfFile opened = must(PdfFile::open(to_bytes(as_bytes(file))));
  request.time = test_time();
  must(sign_pades(opened, pdf_centre().citizen, {.request = std::move(request)}));
  return std::string(as_text(opened.octets()));
}

Report verify_pdf_text(const std::string& file) {
  const auto opened = PdfFile::open(to_bytes(as_bytes(file)));
  if (!opened) return unreadable_pdf(opened.error());
  return verify_pdf(*opened, {.anchors = {pdf_centre().root}}, {.at = test_time()});
}

std::string words(const Report& report) {
  std::string out;
  for (const SignatureReport& one : report.signatures) {
    out += std::string(name_of(one.verdict)) + " " + std::string(name_of(one.sub_indication)) + " " +
           std::string(name_of(one.integrity)) + " " + one.level + "\n";
    for (const Finding& finding : one.findings) {
      out += "  " + std::string(name_of(finding.severity)) + " " + finding.code + ": " + finding.message + "\n";
    }
    for (const ChangedObject& change : one.changes) {
      out += "  change " + change.object + " " + change.kind + (change.allowed ? " allowed: " : " REFUSED: ") +
             change.what + "\n";
    }
  }
  return out;
}

bool has_finding(const SignatureReport& report, std::string_view code) {
  return std::any_of(report.findings.begin(), report.findings.end(),
                     [&](const Finding& finding) { return finding.code == code; });
}

}  // namespace karta::crypto::testing
