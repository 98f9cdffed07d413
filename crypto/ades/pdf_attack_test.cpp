// Attacks on signed PDF documents, built here, each with the finding that must name it: what is published under the
// names of universal signature forgery, incremental saving, signature wrapping, shadow and certification attacks, and
// what becomes of files that readers mend.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "crypto/ades/pades.h"
#include "crypto/ades/pdf_testing.h"
#include "crypto/ades/testing_services.h"
#include "crypto/pdf/stamp.h"
#include "crypto/validation/verify_pdf.h"

namespace karta::crypto {
namespace {

using testing::add_revision;
using testing::add_stream_revision;
using testing::has_finding;
using ::testing::HasSubstr;
using testing::must;
using testing::plain_pdf;
using testing::sign_pdf;
using testing::stream_body;
using testing::test_time;
using testing::words;

Report verify(const std::string& file) { return testing::verify_pdf_text(file); }

const std::string kPage =
    "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<</Font<</F1 3 0 R>>>>/Contents 5 0 R";
const std::string kOtherText = stream_body("BT /F1 14 Tf 72 720 Td (Sample contract, page 1: the price is 999) Tj ET");
const std::string kFont = "<</Type/Font/Subtype/Type1/BaseFont/ZapfDingbats>>";

/// The first signature fails, for changes, one of which is `what`.
void expect_changed(const std::string& file, const std::string& what) {
  const Report report = verify(file);
  ASSERT_FALSE(report.signatures.empty());
  const SignatureReport& one = report.signatures.front();
  ASSERT_NE(one.first_fault(), nullptr) << words(report);
  EXPECT_EQ(one.first_fault()->code, "changed-after-signing") << words(report);
  EXPECT_THAT(one.first_fault()->message, HasSubstr(what));
  EXPECT_FALSE(one.first_fault()->object.empty());
  EXPECT_EQ(one.changes_after, ChangesAfter::not_allowed);
  EXPECT_EQ(report.integrity(), Integrity::broken);
}

/// Some signature fails with `code`, and the document with it.
void expect_fault(const std::string& file, std::string_view code) {
  const Report report = verify(file);
  EXPECT_FALSE(report.passed()) << words(report);
  EXPECT_TRUE(std::any_of(report.signatures.begin(), report.signatures.end(),
                          [&](const auto& one) { return one.first_fault() && one.first_fault()->code == code; }))
      << code << "\n"
      << words(report);
}

/// What the catalog's `key` refers to.
int number_under(const std::string& file, std::string_view key) {
  const Bytes octets = to_bytes(as_bytes(file));
  const auto document = must(pdf::Document::open(octets));
  const pdf::Object* const catalog = must(document.catalog(document.last()));
  const pdf::Object* const value = catalog->find(key);
  return value != nullptr ? static_cast<int>(value->ref.number) : 0;
}

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  const std::size_t at = text.rfind(what);
  EXPECT_NE(at, std::string::npos) << what;
  return text.replace(at, what.size(), by);
}

// --- universal signature forgery: Contents or ByteRange that a careless verifier skips ---

TEST(Forgery, WithoutContentsOrByteRange) {
  const std::string file = sign_pdf(plain_pdf());
  const std::size_t contents = file.rfind("/Contents <") + 10, end = file.find('>', contents);
  const auto with_contents = [&](std::string token) {
    token.resize(end + 1 - contents, ' ');
    return std::string(file).replace(contents, token.size(), token);
  };
  expect_fault(replaced(file, "/Contents <", "/Kontents <"), "pdf-contents");
  expect_fault(with_contents("null"), "pdf-contents");
  expect_fault(with_contents("/Name"), "pdf-contents");
  expect_fault(with_contents("5 0 R"), "pdf-contents");
  // Shorter strings leave a hole that is wider than they are.
  expect_fault(with_contents("<>"), "byte-range-hole");
  expect_fault(with_contents("<00>"), "byte-range-hole");
  expect_fault(with_contents("()"), "byte-range-hole");
  expect_fault(std::string(file).replace(contents + 1, end - contents - 1, end - contents - 1, '0'), "pdf-contents");
  const std::size_t range = file.rfind("/ByteRange ["), close = file.find(']', range);
  const auto with_range = [&](std::string token) {
    token.resize(std::max<std::size_t>(close + 1 - range - 11, 30), ' ');  // blanks follow the numbers
    return std::string(file).replace(range + 11, token.size(), token);
  };
  expect_fault(replaced(file, "/ByteRange [", "/ByteRang_ ["), "byte-range");
  expect_fault(with_range("null"), "byte-range");
  expect_fault(with_range("[]"), "byte-range");
  expect_fault(with_range("[0 0 0 0]"), "byte-range-hole");
  expect_fault(with_range("[0 -1 -1 -1]"), "byte-range");
  expect_fault(with_range("[0.0 1.0 2.0 3.0]"), "byte-range");
  expect_fault(with_range("[0 999999999999 0 1]"), "byte-range");
}

TEST(Forgery, TwoSignaturesOverOneRevision) {
  const std::string range = "/ByteRange[0 ########## ########## ##########]", hole = "<" + std::string(64, '0') + ">";
  const auto value =
      "<</Type/Sig/Filter/Adobe.PPKLite/SubFilter/ETSI.CAdES.detached" + range + "/Contents " + hole + ">>";
  const auto field = [](const char* name, int to) {
    return "<</FT/Sig/T(" + std::string(name) + ")/V " + std::to_string(to) + " 0 R>>";
  };
  std::string file = plain_pdf(1, "/AcroForm<</Fields[6 0 R 7 0 R]>>",
                               {{6, field("one", 8)}, {7, field("two", 9)}, {8, value}, {9, value}});
  std::size_t at = 0;
  for (int i = 0; i < 2; ++i) {
    const std::size_t begin = file.find(hole, at), end = begin + hole.size();
    for (const std::size_t number : {begin, end, file.size() - end}) {
      std::string digits = std::to_string(number);
      digits.resize(10, ' ');
      file.replace(file.find("##########"), 10, digits);
    }
    at = end;
  }
  expect_fault(file, "byte-range-shared");
}

TEST(Forgery, ASignatureInAnObjectStream) {
  const std::string file = sign_pdf(plain_pdf());
  const std::size_t at = file.rfind("<</Type /Sig");
  const std::string value = file.substr(at, file.find("endobj", at) - at);
  const int number = std::stoi(file.substr(file.rfind('\n', file.rfind(" obj", at)) + 1));
  expect_fault(add_stream_revision(file, {{number, value}}), "pdf-contents");
}

// --- signature wrapping: the second part of ByteRange moved elsewhere ---

TEST(Wrapping, TheSecondPartMovedBehindWhatWasInserted) {
  const std::string file = sign_pdf(plain_pdf());
  const std::size_t contents = file.rfind("/Contents <") + 10, behind = file.find('>', contents) + 1;
  // As published: the signed rest stands at the end once more, ByteRange points there, and what came between is new.
  const std::string rest = file.substr(behind);
  const auto wrap = [&](std::string wrapped) {
    const std::size_t range = wrapped.rfind("/ByteRange ["), close = wrapped.find(']', range);
    std::string numbers = "/ByteRange [0 " + std::to_string(contents) + " " +
                          std::to_string(wrapped.size() - rest.size()) + " " + std::to_string(rest.size()) + "]";
    numbers.resize(std::max<std::size_t>(close + 1 - range, 40), ' ');
    return wrapped.replace(range, numbers.size(), numbers);
  };
  expect_fault(wrap(add_revision(file, {{5, kOtherText}})), "byte-range-hole");
  // The copy's own startxref leads around the insertion.
  expect_fault(wrap(add_revision(file, {{5, kOtherText}}) + rest), "unparsable");
}

// --- incremental saving: something appended without, or past, a cross-reference ---

TEST(Saving, AppendedWithoutBeingNamed) {
  const std::string file = sign_pdf(plain_pdf());
  expect_fault(file + "5 0 obj\n" + kOtherText + "\nendobj\n%%EOF\n", "unparsable");
  expect_fault(file + "5 0 obj\n" + kOtherText + "\nendobj\ntrailer\n<</Root 1 0 R>>\n%%EOF\n", "unparsable");
  // A start that leads back into the signed part, or around it.
  const std::string first = std::to_string(plain_pdf().rfind("\nxref\n") + 1);
  expect_fault(file + "startxref\n" + first + "\n%%EOF\n", "unparsable");
  const std::string skipping = replaced(add_revision(file, {{5, kOtherText}}),
                                        "/Prev " + std::to_string(file.rfind("\nxref\n") + 1), "/Prev " + first);
  EXPECT_FALSE(verify(skipping).passed());
  expect_changed(add_revision(file, {{5, kOtherText}}), "Contents of page 1 (object 5 0)");
}

TEST(Saving, AnotherGeneration) {
  const std::string file = sign_pdf(plain_pdf());
  std::string forged = add_revision(file, {{5, kOtherText}});
  forged = replaced(forged, "\n5 0 obj", "\n5 1 obj");
  expect_changed(replaced(forged, "00000 n", "00001 n"), "Contents of page 1");
}

TEST(Saving, TheSignatureTakenOutOfTheForm) {
  const std::string file = sign_pdf(plain_pdf());
  const int form = number_under(file, "AcroForm");
  expect_fault(add_revision(file, {{form, "<</Fields[]/SigFlags 3>>"}}), "signature-removed");
  const std::string twice = sign_pdf(file);
  const std::size_t fields = twice.rfind("/Fields [");
  const std::string first = twice.substr(fields + 9, twice.find('R', fields) - fields - 8);
  expect_changed(add_revision(twice, {{form, "<</Fields[" + first + "]/SigFlags 3>>"}}), "a form field was removed");
}

// --- one file, two readings ---

TEST(Confusion, AnObjectStreamReplaced) {
  const std::string streams = add_stream_revision(plain_pdf(), {{3, "<</Type/Font/Subtype/Type1/BaseFont/Courier>>"}});
  const std::string file = sign_pdf(streams);
  EXPECT_TRUE(verify(file).passed()) << words(verify(file));
  const int container = std::stoi(streams.substr(streams.rfind("%%EOF\n", streams.rfind("/Type/ObjStm")) + 6));
  const std::string other = stream_body("3 0 " + kFont, "/Type/ObjStm/N 1/First 4");
  expect_changed(add_revision(file, {{container, other}}), "an object stream with objects of the signed document");
}

TEST(Confusion, AnObjectStreamPromised) {
  // The cross-reference says the font stands in object stream 90, which comes later.
  std::string hybrid = testing::hybrid_pdf();
  const std::string row("\2\0\6\0", 4), promised("\2\0\x5A\0", 4);
  hybrid.replace(hybrid.find(row), 4, promised);
  const std::string file = sign_pdf(hybrid);
  const std::string later = stream_body("3 0 " + kFont, "/Type/ObjStm/N 1/First 4");
  expect_changed(add_revision(file, {{90, later}}), "an object stream that was promised before it existed");
}

TEST(Confusion, AnObjectPromisedBehindTheEnd) {
  std::string plain = plain_pdf();
  // Object 5 stands where a later save may put what it likes.
  const std::size_t row = plain.find("5 1\n", plain.find("xref\n")) + 4;
  plain.replace(row, 10, "0000090000");
  const auto opened = PdfFile::open(to_bytes(as_bytes(plain)));
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error().message, HasSubstr("promised behind the end of its revision"));
}

TEST(Confusion, AnObjectThatReadersMustSearchFor) {
  std::string plain = plain_pdf();
  const std::size_t row = plain.find("5 1\n", plain.find("xref\n")) + 4;
  plain.replace(row, 10, "0000000009");
  const std::string file = sign_pdf(plain);
  expect_changed(add_revision(file, {{90, "<</A 1>>"}}), "cannot be read where the signed document says it stands");
}

// --- shadows: prepared before signing, sprung after ---

TEST(Shadow, TheSecurityStoreThatServesElsewhere) {
  // Validation data may come later; not into an object that a page draws.
  const std::string shared = plain_pdf(1, "/DSS 90 0 R",
                                       {{4,
                                         "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<</Font<</F1 3 0 "
                                         "R>>>>/Contents[5 0 R 90 0 R]>>"},
                                        {90, "<</Type/DSS>>"}});
  expect_changed(add_revision(sign_pdf(shared), {{90, kOtherText}}), "which serves elsewhere too");
  // Under cover of a store, a page.
  const std::string file = sign_pdf(plain_pdf());
  const int form = number_under(file, "AcroForm");
  const std::string catalog = "<</Type/Catalog/Pages 2 0 R/AcroForm " + std::to_string(form) + " 0 R/DSS 90 0 R";
  EXPECT_TRUE(verify(add_revision(file, {{1, catalog + ">>"}, {90, "<</Type/DSS/Certs[]>>"}})).passed());
  expect_changed(add_revision(file, {{1, catalog + ">>"}, {90, "<</Type/DSS/Certs[]>>"}, {5, kOtherText}}),
                 "Contents of page 1");
  expect_changed(add_revision(file, {{1, catalog + "/OpenAction<</S/JavaScript/JS(x)>>>>"}, {90, "<</Type/DSS>>"}}),
                 "the catalog's OpenAction");
}

TEST(Shadow, FieldsDrawnAnewByTheReader) {
  // What is shown was signed as 100; the value says 999.
  const std::string field =
      "<</Type/Annot/Subtype/Widget/FT/Tx/T(price)/Rect[72 600 200 620]/F 4/V(999)/AP<</N 5 0 R>>>>";
  const std::string file = sign_pdf(
      plain_pdf(1, "/AcroForm 7 0 R", {{4, kPage + "/Annots[6 0 R]>>"}, {6, field}, {7, "<</Fields[6 0 R]>>"}}));
  const std::size_t form = file.rfind("7 0 obj\n") + 8;
  const std::string body = file.substr(form, file.find("endobj", form) - form);
  const std::string redrawn = "<</NeedAppearances true" + body.substr(2);
  expect_changed(add_revision(file, {{7, redrawn}}), "drawn anew by readers");
}

TEST(Shadow, AnnotationsPutInAnotherOrder) {
  const std::string cover = "<</Type/Annot/Subtype/Square/Rect[60 700 500 740]/F 4>>";
  const std::string file = sign_pdf(plain_pdf(1, "", {{4, kPage + "/Annots[6 0 R 7 0 R]>>"}, {6, cover}, {7, cover}}));
  const std::size_t list = file.rfind("/Annots [6 0 R 7 0 R ");
  ASSERT_NE(list, std::string::npos);
  const std::string own = file.substr(list + 21, file.find(']', list) - list - 21);
  expect_changed(add_revision(file, {{4, kPage + "/Annots[7 0 R 6 0 R " + own + "]>>"}}), "the order of annotations");
  // One that was written into the page itself cannot go either.
  const std::string direct = sign_pdf(plain_pdf(1, "", {{4, kPage + "/Annots[" + cover + "]>>"}}));
  expect_changed(add_revision(direct, {{4, kPage + "/Annots[]>>"}}), "an annotation was removed");
}

// --- certification: what DocMDP allows, stretched ---

TEST(Certification, ANewSignatureThatDrawsOverThePage) {
  const std::string certified = sign_pdf(plain_pdf(), {.certify = 2});
  // Ours refuses to make one.
  PdfFile opened = must(PdfFile::open(to_bytes(as_bytes(certified))));
  PadesOptions options;
  options.request.visible = pdf::Placement{1, 60, 700, 440, 60};
  options.request.appearance = pdf::draw_stamp({.title = "999"});
  EXPECT_EQ(sign_pades(opened, testing::pdf_centre().citizen, options).error().kind, ErrorKind::not_permitted);
  EXPECT_TRUE(verify(sign_pdf(certified)).passed());
  // Made elsewhere, it is named; the new signature itself holds.
  const std::string open = sign_pdf(plain_pdf(), {.certify = 3});
  const std::string sneaky =
      sign_pdf(open, {.visible = pdf::Placement{1, 60, 700, 440, 60}, .appearance = pdf::draw_stamp({.title = "999"})});
  EXPECT_TRUE(has_finding(verify(sneaky).signatures.front(), "visible-change-after-signing"));
  const int form = number_under(certified, "AcroForm");
  const std::size_t fields = certified.rfind("/Fields [") + 9;
  const std::string own = certified.substr(fields, certified.find(']', fields) - fields);
  const std::string field =
      "<</Type/Annot/Subtype/Widget/FT/Sig/T(sneaky)/F 132/Rect[60 700 500 760]/AP<</N 92 0 R>>/V 91 0 R>>";
  const std::string forged = add_revision(
      certified,
      {{form, "<</SigFlags 3/Fields[" + own + " 90 0 R]>>"},
       {4, kPage + "/Annots[" + own + " 90 0 R]>>"},
       {90, field},
       {91, "<</Type/Sig/Filter/Adobe.PPKLite/SubFilter/ETSI.CAdES.detached/ByteRange[0 1 2 3]/Contents<00>>>"},
       {92, stream_body("0 0 440 60 re f", "/Type/XObject/Subtype/Form/BBox[0 0 440 60]")}});
  const Report report = verify(forged);
  const auto first = std::find_if(report.signatures.begin(), report.signatures.end(),
                                  [](const auto& one) { return one.field == "Signature1"; });
  ASSERT_NE(first, report.signatures.end()) << words(report);
  ASSERT_NE(first->first_fault(), nullptr) << words(report);
  EXPECT_EQ(first->first_fault()->code, "changed-after-signing");
  EXPECT_THAT(first->first_fault()->message, HasSubstr("signature \"sneaky\""));
}

TEST(Certification, AFieldThatActs) {
  const std::string file = sign_pdf(plain_pdf());
  const int form = number_under(file, "AcroForm");
  const std::size_t fields = file.rfind("/Fields [") + 9;
  const std::string own = file.substr(fields, file.find(']', fields) - fields);
  expect_changed(add_revision(file, {{form, "<</SigFlags 3/Fields[" + own + " 90 0 R]>>"},
                                     {90, "<</FT/Sig/T(later)/AA<</E<</S/JavaScript/JS(x)>>>>>>"}}),
                 "does something when it is met");
}

TEST(Certification, LocksOfEveryKind) {
  const auto text = [](const char* name) {
    return "<</Type/Annot/Subtype/Widget/FT/Tx/T(" + std::string(name) + ")/Rect[72 600 200 620]/F 4";
  };
  const auto locked = [&](const std::string& lock) {
    return sign_pdf(
        plain_pdf(1, "/AcroForm<</Fields[6 0 R 7 0 R 8 0 R]>>",
                  {{4, kPage + "/Annots[6 0 R 7 0 R 8 0 R]>>"},
                   {6, text("price") + ">>"},
                   {7, text("name") + ">>"},
                   {8, "<</Type/Annot/Subtype/Widget/FT/Sig/T(seller)/Rect[0 0 0 0]/F 132/Lock<<" + lock + ">>>>"}}));
  };
  const auto fill = [&](const std::string& file, int number, const char* name) {
    return add_revision(file, {{number, text(name) + "/V(100)/AP<</N 90 0 R>>>>"}, {90, kOtherText}});
  };
  const std::string all = locked("/Action/All"), but = locked("/Action/Exclude/Fields[(name)]");
  expect_changed(fill(all, 6, "price"), "which a signature locks");
  expect_changed(fill(but, 6, "price"), "which a signature locks");
  EXPECT_TRUE(verify(fill(but, 7, "name")).passed()) << words(verify(fill(but, 7, "name")));
  // ISO 32000-2: the lock may say what DocMDP says.
  expect_changed(fill(locked("/Action/Include/Fields[(nothing)]/P 1"), 7, "name"), "form field \"name\"");
}

// --- what a form's author may demand ---

TEST(SeedValue, OrdersAreKeptOrRefused) {
  const auto outcome = [&](const std::string& seed, PadesOptions options = {}, bool stamped = false) {
    PdfFile file = must(PdfFile::open(to_bytes(as_bytes(
        plain_pdf(1, "/AcroForm<</Fields[6 0 R]>>",
                  {{4, kPage + "/Annots[6 0 R]>>"},
                   {6, "<</Type/Annot/Subtype/Widget/FT/Sig/T(here)/Rect[0 0 0 0]/F 132/SV<<" + seed + ">>>>"}})))));
    static testing::TestServices services(testing::pdf_centre());
    options.level = stamped ? SignatureLevel::b_t : SignatureLevel::b_b;
    const Status made = sign_pades(file, testing::pdf_centre().citizen, options, services.services());
    return made ? std::string("signed") : made.error().message;
  };
  const Bytes& own = testing::pdf_centre().citizen_certificate.der();
  const std::string mine = "<" + to_hex(own) + ">", issuer = "<" + to_hex(testing::pdf_centre().ca.der()) + ">";
  EXPECT_EQ(outcome("/Ff 64/DigestMethod[/SHA256/SHA384]"), "signed");
  EXPECT_THAT(outcome("/Ff 64/DigestMethod[/SHA512]"), HasSubstr("another digest"));
  EXPECT_EQ(outcome("/DigestMethod[/SHA512]"), "signed");
  EXPECT_THAT(outcome("/Ff 1/Filter/Entrust.PPKEF"), HasSubstr("Entrust.PPKEF"));
  EXPECT_THAT(outcome("/Ff 4/V 9"), HasSubstr("later version"));
  EXPECT_THAT(outcome("/Ff 32/AddRevInfo true"), HasSubstr("revocation data"));
  EXPECT_THAT(outcome("/TimeStamp<</Ff 1/URL(http://tsa.example)>>"), HasSubstr("a time-stamp"));
  EXPECT_EQ(outcome("/TimeStamp<</Ff 1/URL(http://tsa.example)>>", {}, true), "signed");
  EXPECT_THAT(outcome("/MDP<</P 2>>"), HasSubstr("certifies with permission 2"));
  EXPECT_EQ(outcome("/MDP<</P 2>>", {.request = {.certify = 2}}), "signed");
  EXPECT_THAT(outcome("/MDP<</P 0>>", {.request = {.certify = 2}}), HasSubstr("does not certify"));
  EXPECT_THAT(outcome("/Ff 16/LegalAttestation[(none)]/MDP<</P 2>>", {.request = {.certify = 2}}),
              HasSubstr("legal attestation"));
  EXPECT_THAT(outcome("/Ff 128/LockDocument true"), HasSubstr("locked"));
  EXPECT_THAT(outcome("/Ff 256/AppearanceFilter(Crown)"), HasSubstr("Crown"));
  EXPECT_EQ(outcome("/Cert<</Ff 1/Subject[" + mine + "]>>"), "signed");
  EXPECT_THAT(outcome("/Cert<</Ff 1/Subject[" + issuer + "]>>"), HasSubstr("another signer's certificate"));
  EXPECT_EQ(outcome("/Cert<</Ff 2/Issuer[" + issuer + "]>>"), "signed");
  EXPECT_THAT(outcome("/Cert<</Ff 2/Issuer[" + mine + "]>>"), HasSubstr("another issuer"));
  EXPECT_THAT(outcome("/Cert<</Ff 4/OID[(1.2.3.4)]>>"), HasSubstr("another policy"));
  EXPECT_THAT(outcome("/Cert<</Ff 8/SubjectDN[<</CN(Nobody)>>]>>"), HasSubstr("another signer"));
  EXPECT_THAT(outcome("/Cert<</Ff 32/KeyUsage[(000001XXX)]>>"), HasSubstr("another key usage"));
  EXPECT_EQ(outcome("/Cert<</Ff 32/KeyUsage[(X1XXX0)(1XXXXX)]>>"), "signed");
}

// --- single bits ---

/// Flips bits all over `file`: the verdict must change, or the report say something else, or the octet stand where
/// nobody signs: in Contents, whose CMS has parts of its own that are not signed.
void expect_every_bit_counts(const std::string& file, const std::function<Report(const std::string&)>& judge,
                             std::size_t step) {
  const Report good = judge(file);
  ASSERT_TRUE(good.passed()) << words(good);
  const std::string reference = words(good);
  const Bytes octets = to_bytes(as_bytes(file));
  const auto document = must(pdf::Document::open(octets));
  const auto signatures = must(pdf::signatures(document));
  const std::size_t signed_end = signatures.back().byte_range[2] + signatures.back().byte_range[3];
  std::size_t silent = 0, tried = 0;
  for (std::size_t bit = 0; bit < file.size() * 8; bit += step) {
    std::string changed = file;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << bit % 8));
    ++tried;
    const Report report = judge(changed);
    if (!report.passed() || words(report) != reference) continue;
    ++silent;
    const bool in_contents = std::any_of(signatures.begin(), signatures.end(), [&](const auto& one) {
      return bit / 8 >= one.contents_begin && bit / 8 < one.contents_end;
    });
    // Behind the last signature the report says, change by change, that these are not signed.
    const bool outside = bit / 8 >= signed_end && !good.signatures.back().changes.empty();
    EXPECT_TRUE(in_contents || outside) << "octet " << bit / 8 << " of " << file.size();
  }
  EXPECT_LT(silent, tried / 4);
}

TEST(EveryBit, OfEveryShapeOfFile) {
  const auto judge = [](const std::string& file) { return verify(file); };
  expect_every_bit_counts(sign_pdf(sign_pdf(plain_pdf())), judge, 89);
  expect_every_bit_counts(sign_pdf(testing::hybrid_pdf()), judge, 89);
  expect_every_bit_counts(sign_pdf(add_stream_revision(plain_pdf(), {{3, kFont}})), judge, 89);
  expect_every_bit_counts(sign_pdf(plain_pdf(), {.certify = 2}), judge, 97);
}

TEST(EveryBit, OfEveryLevel) {
  testing::TestServices services(testing::pdf_centre());
  const auto judge = [&](const std::string& file) {
    const auto opened = PdfFile::open(to_bytes(as_bytes(file)));
    if (!opened) return unreadable_pdf(opened.error());
    return verify_pdf(*opened, {.anchors = {testing::pdf_centre().root}}, {.at = services.clock().now()});
  };
  for (const SignatureLevel level : {SignatureLevel::b_t, SignatureLevel::b_lt, SignatureLevel::b_lta}) {
    SCOPED_TRACE(name_of(level));
    PdfFile file = must(PdfFile::open(to_bytes(as_bytes(plain_pdf()))));
    must(sign_pades(file, testing::pdf_centre().citizen, {.level = level}, services.services()));
    expect_every_bit_counts(std::string(as_text(file.octets())), judge, 1009);
  }
}

TEST(EveryBit, OfEncryptedFiles) {
  const testing::TemporaryFolder folder;
  folder.write("plain.pdf", plain_pdf());
  const SecretBytes password = SecretBytes::copy_of("user");
  const auto judge = [&](const std::string& file) {
    const auto opened = PdfFile::open(to_bytes(as_bytes(file)), password);
    if (!opened) return unreadable_pdf(opened.error());
    return verify_pdf(*opened, {.anchors = {testing::pdf_centre().root}}, {.at = testing::test_time()});
  };
  for (const char* options :
       {"--allow-weak-crypto --encrypt user owner 128 --use-aes=n --", "--encrypt user owner 128 --use-aes=y --",
        "--encrypt user owner 256 --", "--object-streams=generate --encrypt user owner 256 --"}) {
    SCOPED_TRACE(options);
    const testing::Ran made = testing::run(folder, "qpdf " + std::string(options) + " plain.pdf encrypted.pdf");
    ASSERT_EQ(made.status, 0) << made.output;
    PdfFile file = must(PdfFile::open(folder.read("encrypted.pdf"), password));
    must(
        sign_pades(file, testing::pdf_centre().citizen, {.request = {.time = testing::test_time(), .reason = "test"}}));
    expect_every_bit_counts(std::string(as_text(file.octets())), judge, 127);
  }
}

// --- raising what is there ---

TEST(Raise, AForeignOrPlainSignatureToEveryLevel) {
  testing::TestServices services(testing::pdf_centre());
  const auto judge = [&](const PdfFile& file) {
    return verify_pdf(file, {.anchors = {testing::pdf_centre().root}}, {.at = services.clock().now()});
  };
  for (const SignatureLevel level : {SignatureLevel::b_t, SignatureLevel::b_lt, SignatureLevel::b_lta}) {
    PdfFile file = must(PdfFile::open(to_bytes(as_bytes(sign_pdf(sign_pdf(plain_pdf()))))));
    const Time raised = services.clock().now();
    must(raise_pades(file, level, services.services()));
    const Report report = judge(file);
    ASSERT_TRUE(report.passed()) << words(report);
    ASSERT_EQ(report.signatures.size(), 3u);
    for (int i = 0; i < 2; ++i) EXPECT_EQ(report.signatures[i].level, "PAdES-" + std::string(name_of(level)));
    EXPECT_EQ(report.signatures.front().best_signature_time, raised);
    // Step by step, and once more: renewal adds one time-stamp and keeps what is there.
    services.clock().advance(std::chrono::hours(24 * 20));
    services.revoke({});
    must(raise_pades(file, SignatureLevel::b_lta, services.services()));
    const Report renewed = judge(file);
    EXPECT_TRUE(renewed.passed()) << words(renewed);
    EXPECT_EQ(renewed.signatures.size(), 4u);
    EXPECT_EQ(renewed.signatures.front().level, "PAdES-B-LTA");
    EXPECT_EQ(renewed.signatures.front().best_signature_time, report.signatures.front().best_signature_time);
  }
}

// --- cost: counted, not timed ---

TEST(Cost, OneParseAndOneHashHoweverManySignatures) {
  PdfFile file = must(PdfFile::open(to_bytes(as_bytes(plain_pdf(20)))));
  std::vector<pdf::ReadingCost> costs = {file.document().cost()};
  std::vector<std::size_t> sizes = {file.octets().size()};
  for (int i = 0; i < 50; ++i) {
    must(sign_pades(file, testing::pdf_centre().citizen, {.request = {.time = test_time()}}));
    costs.push_back(file.document().cost());
    sizes.push_back(file.octets().size());
  }
  // The fiftieth reads as many objects as the third, and two references more in their arrays.
  const auto objects = [&](std::size_t i) { return costs[i].objects - costs[i - 1].objects; };
  const auto octets = [&](std::size_t i) { return costs[i].octets - costs[i - 1].octets; };
  EXPECT_EQ(objects(50), objects(3));
  EXPECT_LE(octets(50), octets(3) + 48 * 2 * 20);
  EXPECT_EQ(costs[50].sections - costs[49].sections, 1u);
  // Every octet before a signature's own update was hashed once for all of them.
  EXPECT_EQ(file.hashed_octets(), sizes[49]);
  EXPECT_LE(costs[50].octets, sizes[50]);

  // Verifying parses no object twice.
  const PdfFile again = must(PdfFile::open(to_bytes(file.octets())));
  const Report report = verify_pdf(again, {.anchors = {testing::pdf_centre().root}}, {.at = test_time()});
  EXPECT_TRUE(report.passed());
  EXPECT_EQ(report.signatures.size(), 50u);
  EXPECT_LE(again.document().cost().octets, again.octets().size());
  EXPECT_LE(again.document().cost().objects, again.document().entries().size());
  EXPECT_EQ(again.document().cost().sections, 51u);
}

TEST(Cost, HostileFilesHitNamedLimits) {
  const auto kind = [](const std::string& file, const pdf::DocumentLimits& limits) {
    const Bytes octets = to_bytes(as_bytes(file));
    const auto document = pdf::Document::open(octets, limits);
    if (!document) return document.error().kind;
    for (const auto& entry : document->entries()) {
      if (const auto object = document->load(entry); !object) return object.error().kind;
    }
    return ErrorKind::internal;
  };
  std::string many = "[";
  for (int i = 0; i < 1000; ++i) many += "0 ";
  const std::string wide = plain_pdf(1, "", {{6, many + "]"}, {7, many + "]"}});
  EXPECT_EQ(kind(wide, {}), ErrorKind::internal);
  EXPECT_EQ(kind(wide, {.parts = 1500}), ErrorKind::limit);
  const std::string deep = plain_pdf(1, "", {{6, std::string(1000, '[') + std::string(1000, ']')}});
  EXPECT_EQ(kind(deep, {}), ErrorKind::limit);
  EXPECT_EQ(kind(add_revision(add_revision(plain_pdf(), {{9, "1"}}), {{9, "2"}}), {.revisions = 2}), ErrorKind::limit);
  EXPECT_EQ(kind(plain_pdf(), {.objects = 3}), ErrorKind::malformed);
  EXPECT_EQ(kind(plain_pdf(), {.entries = 3}), ErrorKind::limit);
}

TEST(Cost, AnAppendedFileIsWrittenFromItsOriginal) {
  const testing::TemporaryFolder folder;
  const std::string plain = plain_pdf();
  folder.write("plain.pdf", plain);
  PdfFile file = must(PdfFile::open_file(folder / "plain.pdf"));
  must(sign_pades(file, testing::pdf_centre().citizen, {.request = {.time = test_time()}}));
  must(file.save_as(folder / "signed.pdf"));
  EXPECT_TRUE(equal(folder.read("signed.pdf"), file.octets()));
  EXPECT_EQ(file.save_as(folder / "signed.pdf").error().kind, ErrorKind::already_exists);
  EXPECT_TRUE(verify(std::string(as_text(folder.read("signed.pdf")))).passed());
  // Changed under our feet: what was signed is no longer what would be copied.
  std::filesystem::resize_file(folder / "plain.pdf", plain.size() + 1);
  EXPECT_EQ(file.save_as(folder / "other.pdf").error().kind, ErrorKind::io);
  EXPECT_FALSE(std::filesystem::exists(folder / "other.pdf"));
}

TEST(Cost, AnUpdateThatIsNoneChangesNothing) {
  PdfFile file = must(PdfFile::open(to_bytes(as_bytes(plain_pdf()))));
  const Bytes before = to_bytes(file.octets());
  EXPECT_EQ(file.append(as_bytes("5 0 obj\n1\nendobj\n")).error().kind, ErrorKind::malformed);
  EXPECT_TRUE(equal(file.octets(), before));
  must(sign_pades(file, testing::pdf_centre().citizen, {.request = {.time = test_time()}}));
  EXPECT_TRUE(verify(std::string(as_text(file.octets()))).passed());
}

}  // namespace
}  // namespace karta::crypto
