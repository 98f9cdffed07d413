// What the verifier makes of PDF documents: its own and foreign ones, changed ones, and a gallery of attacks built
// here.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/der.h"
#include "crypto/ades/pades.h"
#include "crypto/ades/pdf_testing.h"
#include "crypto/cms/sign.h"
#include "crypto/pdf/stamp.h"
#include "crypto/validation/verify_pdf.h"

namespace karta::crypto {
namespace {

using testing::add_revision;
using ::testing::HasSubstr;
using testing::must;
using testing::plain_pdf;
using testing::test_time;
using testing::words;

std::string sign(const std::string& file, pdf::SignatureRequest request = {}) {
  return testing::sign_pdf(file, std::move(request));
}
Report verify(const std::string& file) { return testing::verify_pdf_text(file); }
bool has(const SignatureReport& report, std::string_view code) { return testing::has_finding(report, code); }
std::string stream(const std::string& content) { return testing::stream_body(content); }

void expect_changed(const std::string& file, const std::string& what) {
  const Report report = verify(file);
  ASSERT_EQ(report.signatures.size(), 1u) << words(report);
  const SignatureReport& one = report.signatures.front();
  EXPECT_EQ(one.verdict, Verdict::total_failed) << words(report);
  EXPECT_EQ(one.integrity, Integrity::intact) << words(report);
  EXPECT_EQ(one.changes_after, ChangesAfter::not_allowed) << words(report);
  EXPECT_EQ(report.integrity(), Integrity::broken);
  ASSERT_NE(one.first_fault(), nullptr);
  EXPECT_EQ(one.first_fault()->code, "changed-after-signing") << words(report);
  EXPECT_THAT(one.first_fault()->message, HasSubstr(what));
}

void expect_fault(const std::string& file, std::string_view code) {
  const Report report = verify(file);
  ASSERT_FALSE(report.signatures.empty());
  EXPECT_FALSE(report.passed()) << words(report);
  ASSERT_NE(report.signatures.front().first_fault(), nullptr) << words(report);
  EXPECT_EQ(report.signatures.front().first_fault()->code, code) << words(report);
}

const std::string kOtherText = stream("BT /F1 14 Tf 72 720 Td (Sample contract, page 1: the price is 999) Tj ET");
// A form: the list of fields stands in the catalog's AcroForm; 6 is a field on page 1.
std::string form_pdf(const std::string& field, const std::string& more_catalog = {}) {
  return plain_pdf(1, "/AcroForm<</Fields[6 0 R]>>" + more_catalog,
                   {{4,
                     "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<</Font<</F1 3 0 R>>>>/Contents 5 0 "
                     "R/Annots[6 0 R]>>"},
                    {6, field}});
}
const std::string kTextField = "<</Type/Annot/Subtype/Widget/FT/Tx/T(price)/Rect[72 600 200 620]/F 4";

TEST(Pdf, WhatIsSignedHereVerifiesHere) {
  const Report report = verify(sign(plain_pdf()));
  ASSERT_EQ(report.signatures.size(), 1u);
  ASSERT_TRUE(report.passed()) << words(report);
  const SignatureReport& one = report.signatures.front();
  EXPECT_EQ(one.level, "PAdES-B-B");
  EXPECT_EQ(one.integrity, Integrity::intact);
  EXPECT_EQ(one.changes_after, ChangesAfter::none);
  EXPECT_EQ(one.claimed_signing_time, test_time());
  EXPECT_EQ(one.signer_display, "Примеров Образец");
  EXPECT_EQ(report.integrity(), Integrity::intact);
  EXPECT_TRUE(verify(plain_pdf()).signatures.empty());
}

TEST(Pdf, LaterSignaturesAreAllowedChanges) {
  std::string file = plain_pdf();
  for (int i = 0; i < 3; ++i) file = sign(file);
  file =
      sign(file, {.visible = pdf::Placement{1, 300, 40, 200, 70}, .appearance = pdf::draw_stamp({.title = "Подпись"})});
  const Report report = verify(file);
  ASSERT_EQ(report.signatures.size(), 4u);
  ASSERT_TRUE(report.passed()) << words(report);
  EXPECT_EQ(report.signatures[0].changes_after, ChangesAfter::allowed);
  EXPECT_TRUE(has(report.signatures[0], "visible-change-after-signing")) << words(report);
  EXPECT_EQ(report.signatures[3].changes_after, ChangesAfter::none);
}

TEST(Pdf, EveryChangedBitIsNoticed) {
  const std::string file = sign(sign(plain_pdf()));
  const Report good = verify(file);
  const std::size_t remarks = good.signatures[0].findings.size() + good.signatures[1].findings.size();
  std::size_t tolerated = 0;
  // A prime step, so that every part of the file is met; each bit in turn.
  for (std::size_t bit = 0; bit < file.size() * 8; bit += 41) {
    std::string changed = file;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << bit % 8));
    const Report report = verify(changed);
    if (!report.passed()) continue;
    std::size_t now = 0;
    for (const SignatureReport& one : report.signatures) now += one.findings.size();
    EXPECT_TRUE(now > remarks || report.signatures.size() < 2) << "octet " << bit / 8 << "\n" << words(report);
    ++tolerated;
  }
  // The case of a hexadecimal digit in Contents, and it is said.
  EXPECT_LT(tolerated, file.size() / 20);
}

// --- shadow attacks: hide, replace, hide and replace ---

TEST(Shadow, HideByPuttingSomethingOverIt) {
  const std::string file = sign(plain_pdf());
  expect_changed(add_revision(file, {{5, kOtherText}}), "Contents of page 1 (object 5 0)");
  expect_changed(add_revision(file, {{4,
                                      "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<</Font<</F1 3 0 "
                                      "R>>>>/Contents[5 0 R 90 0 R]>>"},
                                     {90, kOtherText}}),
                 "Contents of page 1");
}

TEST(Shadow, HideByTakingTheCoverAway) {
  // What covers the text is an annotation that was signed and is removed later.
  const std::string cover = "<</Type/Annot/Subtype/Square/Rect[60 700 500 740]/F 4>>";
  std::string file = plain_pdf(1, "",
                               {{4,
                                 "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<</Font<</F1 3 0 "
                                 "R>>>>/Contents 5 0 R/Annots[6 0 R]>>"},
                                {6, cover}});
  file = sign(file);
  expect_changed(add_revision(file, {{4,
                                      "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<</Font<</F1 3 0 "
                                      "R>>>>/Contents 5 0 R/Annots[]>>"}}),
                 "removed on page 1");
  expect_changed(add_revision(file, {{6, "<</Type/Annot/Subtype/Square/Rect[0 0 0 0]/F 2>>"}}), "annotation on page 1");
}

TEST(Shadow, HideByAnObjectThatWasPromised) {
  // Object 90 is named by the signed page and does not exist yet.
  const std::string file = sign(plain_pdf(1, "",
                                          {{4,
                                            "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<</Font"
                                            "<</F1 3 0 R>>>>/Contents[5 0 R 90 0 R]>>"}}));
  expect_changed(add_revision(file, {{90, kOtherText}}), "before it existed (object 90 0)");
}

TEST(Shadow, ReplaceByAFormField) {
  // The field's value was signed; what it shows is replaced, with and without its value.
  const std::string file = sign(form_pdf(kTextField + "/V(100)/AP<</N 5 0 R>>>>"));
  expect_changed(add_revision(file, {{6, kTextField + "/V(999)/AP<</N 5 0 R>>>>"}}), "form field \"price\"");
  expect_changed(add_revision(file, {{6, kTextField + "/V(100)/AP<</N 91 0 R>>>>"}, {91, kOtherText}}),
                 "form field \"price\"");
}

TEST(Shadow, ReplaceByAFont) {
  const std::string file = sign(plain_pdf());
  expect_changed(add_revision(file, {{3, "<</Type/Font/Subtype/Type1/BaseFont/ZapfDingbats>>"}}),
                 "Resources of page 1 (object 3 0)");
}

TEST(Shadow, HideAndReplaceByACatalog) {
  const std::string file = sign(plain_pdf(2));
  expect_changed(add_revision(file, {{2, "<</Type/Pages/Count 1/Kids[6 0 R]>>"}}), "Pages of the catalog");
  std::string other =
      add_revision(file, {{80, "<</Type/Catalog/Pages 81 0 R>>"}, {81, "<</Type/Pages/Count 0/Kids[]>>"}});
  const std::size_t root = other.rfind("/Root 1 0 R");
  other.replace(root, 11, "/Root 80 0 R");
  // Signatures are found through the form; with another catalog nothing leads to this one.
  expect_fault(other, "signature-removed");
}

TEST(Attack, AnAnnotationDrawnOverText) {
  const std::string annotation = "<</Type/Annot/Subtype/FreeText/Rect[60 700 500 740]/Contents(999)/F 4>>";
  const std::string page =
      "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<</Font<</F1 3 0 R>>>>/Contents 5 0 R/Annots[";
  const std::string plain = sign(plain_pdf());
  const auto add = [&](const std::string& file, const std::string& signature_field) {
    return add_revision(file, {{4, page + signature_field + " 90 0 R]>>"}, {90, annotation}});
  };
  expect_changed(add(plain, "7 0 R"), "a new annotation on page 1");
  // Where the author allows annotations, they are allowed.
  const std::string open = sign(plain_pdf(), {.certify = 3});
  const Report report = verify(add(open, "7 0 R"));
  EXPECT_EQ(report.signatures.front().changes_after, ChangesAfter::allowed) << words(report);
  EXPECT_TRUE(has(report.signatures.front(), "visible-change-after-signing")) << words(report);
}

TEST(Attack, FormFieldsAgainstDocMdpAndFieldMdp) {
  const std::string filled = kTextField + "/V(100)/AP<</N 90 0 R>>>>";
  const auto fill = [&](const std::string& file) { return add_revision(file, {{6, filled}, {90, kOtherText}}); };
  // An empty field may be filled in after an ordinary signature and where the author allows it.
  EXPECT_EQ(verify(fill(sign(form_pdf(kTextField + ">>")))).signatures.front().changes_after, ChangesAfter::allowed);
  EXPECT_EQ(verify(fill(sign(form_pdf(kTextField + ">>"), {.certify = 2}))).signatures.front().changes_after,
            ChangesAfter::allowed);
  expect_changed(fill(sign(form_pdf(kTextField + ">>"), {.certify = 1})), "form field \"price\"");
  // Locked by a signature field (FieldMDP).
  const std::string locking =
      plain_pdf(1, "/AcroForm<</Fields[6 0 R 7 0 R]>>",
                {{4,
                  "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<</Font<</F1 3 0 R>>>>/Contents 5 0 "
                  "R/Annots[6 0 R 7 0 R]>>"},
                 {6, kTextField + ">>"},
                 {7,
                  "<</Type/Annot/Subtype/Widget/FT/Sig/T(seller)/Rect[0 0 0 0]/F 132/Lock<</Type/SigFieldLock/Action"
                  "/Include/Fields[(price)]>>>>"}});
  const std::string locked = sign(locking);
  EXPECT_EQ(verify(locked).signatures.front().field, "seller");
  expect_changed(fill(locked), "which a signature locks");
}

TEST(Attack, TheSignatureItselfReplaced) {
  const std::string file = sign(plain_pdf());
  // The field points to another value, or goes.
  const std::string field = "<</Type/Annot/Subtype/Widget/FT/Sig/T(Signature1)/F 132/P 4 0 R/Rect[0 0 0 0]";
  EXPECT_FALSE(verify(add_revision(file, {{7, field + "/V 6 0 R/AP<</N 5 0 R>>>>"}})).passed());
  EXPECT_FALSE(verify(add_revision(file, {{7, field + ">>"}})).passed());
}

// --- byte ranges ---

std::string with_range(const std::string& file, const std::string& range) {
  const std::size_t at = file.rfind("/ByteRange [");
  const std::size_t end = file.find_first_not_of(' ', file.find(']', at) + 1);
  std::string out = file;
  std::string text = "/ByteRange [" + range + "]";
  text.resize(end - at, ' ');
  return out.replace(at, end - at, text);
}

std::vector<std::size_t> range_of(const std::string& file) {
  std::size_t at = file.rfind("/ByteRange [") + 12;
  std::vector<std::size_t> out;
  for (int i = 0; i < 4; ++i) {
    std::size_t used = 0;
    out.push_back(std::stoul(file.substr(at), &used));
    at += used;
  }
  return out;
}

TEST(ByteRange, MustCoverAllButContents) {
  const std::string file = sign(plain_pdf());
  const auto r = range_of(file);
  const auto text = [](std::size_t a, std::size_t b, std::size_t c, std::size_t d) {
    return std::to_string(a) + " " + std::to_string(b) + " " + std::to_string(c) + " " + std::to_string(d);
  };
  expect_fault(with_range(file, text(0, r[1] - 10, r[2], r[3])), "byte-range-hole");
  expect_fault(with_range(file, text(0, r[1], r[2] + 10, r[3] - 10)), "byte-range-hole");
  expect_fault(with_range(file, text(0, r[1], r[2], r[3] - 40)), "byte-range-tail");
  expect_fault(with_range(file, text(0, r[1], r[2], r[3] + 1)), "byte-range");
  expect_fault(with_range(file, text(1, r[1] - 1, r[2], r[3])), "byte-range");
  expect_fault(with_range(file, text(0, r[1], r[2], r[3]) + " 5"), "byte-range");
  expect_fault(with_range(file, "0 " + std::to_string(r[1]) + " " + std::to_string(r[2])), "byte-range");
}

TEST(ByteRange, ATailBehindTheDocumentIsRefused) {
  const std::string file = sign(plain_pdf());
  expect_fault(file + "5 0 obj\n" + kOtherText + "\nendobj\n", "unparsable");
  EXPECT_TRUE(verify(file + "\n\n").passed());
}

TEST(ByteRange, SomethingBehindTheCmsInContentsIsRefused) {
  std::string file = sign(plain_pdf());
  const auto r = range_of(file);
  file[r[2] - 3] = '7';
  expect_fault(file, "pdf-contents");
}

TEST(ByteRange, OctetsThatBelongToNoObjectAreMentioned) {
  const std::string file = sign(plain_pdf());
  const Report report = verify(add_revision(file + "(something)\n", {{90, "<</A 1>>"}}));
  ASSERT_EQ(report.signatures.size(), 1u);
  EXPECT_TRUE(report.passed()) << words(report);
  EXPECT_TRUE(has(report.signatures.front(), "unexplained-octets")) << words(report);
  // An object that no cross-reference names is found by readers that mend files.
  expect_fault(add_revision(file + "5 0 obj\n" + kOtherText + "\nendobj\n", {{90, "<</A 1>>"}}), "unexplained-octets");
  EXPECT_FALSE(has(verify(add_revision(file, {{90, "<</A 1>>"}})).signatures.front(), "unexplained-octets"));
}

TEST(Pdf, FiftySignaturesVerify) {
  std::string file = plain_pdf();
  for (int i = 0; i < 50; ++i) file = sign(file);
  const Report report = verify(file);
  EXPECT_EQ(report.signatures.size(), 50u);
  EXPECT_TRUE(report.passed()) << words(report);
}

// --- seed values and permissions, when signing ---

TEST(Sign, KeepsWhatEarlierSignaturesAndFieldsAsk) {
  const auto refused = [&](const std::string& file, pdf::SignatureRequest request = {}) {
    PdfFile opened = must(PdfFile::open(to_bytes(as_bytes(file))));
    const auto made = sign_pades(opened, testing::pdf_centre().citizen, {.request = std::move(request)});
    return made ? std::string("signed") : std::string(row_of(made.error().kind).name);
  };
  EXPECT_EQ(refused(sign(plain_pdf(), {.certify = 1})), row_of(ErrorKind::not_permitted).name);
  EXPECT_EQ(refused(sign(plain_pdf(), {.certify = 2})), "signed");
  EXPECT_EQ(refused(sign(plain_pdf()), {.certify = 2}), row_of(ErrorKind::not_permitted).name);
  EXPECT_EQ(refused(plain_pdf(), {.field = "nowhere"}), row_of(ErrorKind::not_found).name);
  EXPECT_EQ(refused(plain_pdf(), {.visible = pdf::Placement{7, 0, 0, 100, 50}}), row_of(ErrorKind::not_found).name);
  const auto seeded = [&](const std::string& seed) {
    return form_pdf("<</Type/Annot/Subtype/Widget/FT/Sig/T(here)/Rect[0 0 0 0]/F 132/SV<<" + seed + ">>>>");
  };
  EXPECT_EQ(refused(seeded("/Ff 2/SubFilter[/adbe.x509.rsa_sha1]")), row_of(ErrorKind::not_permitted).name);
  EXPECT_EQ(refused(seeded("/Ff 2/SubFilter[/ETSI.CAdES.detached]")), "signed");
  EXPECT_EQ(refused(seeded("/SubFilter[/adbe.x509.rsa_sha1]")), "signed");
  EXPECT_EQ(refused(seeded("/Ff 8/Reasons[(I agree)]")), row_of(ErrorKind::not_permitted).name);
  EXPECT_EQ(refused(seeded("/Ff 8/Reasons[(I agree)]"), {.reason = "I agree"}), "signed");
}

}  // namespace
}  // namespace karta::crypto
