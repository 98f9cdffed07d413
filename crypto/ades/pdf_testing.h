// PdfTesting: small PDF files made for tests, in every shape a cross-reference can have; signing and judging them.
#pragma once

#include <map>
#include <string>

#include "crypto/ades/pdf_file.h"
#include "crypto/testing.h"
#include "crypto/validation/report.h"

namespace karta::crypto::testing {

/// A document of `pages` pages with a line of text each; objects 1 catalog, 2 pages, 3 font, then a page and its
/// content each. `extra_catalog` goes into the catalog, `extra_objects` (number, body) behind the pages.
std::string plain_pdf(std::size_t pages = 1, const std::string& extra_catalog = {},
                      const std::map<int, std::string>& extra_objects = {});
/// The same with a hybrid cross-reference: the object `hidden` stands in an object stream only.
std::string hybrid_pdf();
/// An incremental update by hand: objects (number, body), then table and trailer.
std::string add_revision(const std::string& file, const std::map<int, std::string>& objects);

/// The same with the objects in an object stream, and a cross-reference stream (numbers: the two highest).
std::string add_stream_revision(const std::string& file, const std::map<int, std::string>& objects);
/// A stream with this content, as an object's body.
std::string stream_body(const std::string& content, const std::string& more_keys = {});

/// Where the documents of these tests are signed: P-256 throughout.
TestCentre& pdf_centre();
/// `file` signed by pdf_centre().citizen at test_time(), B-B.
std::string sign_pdf(const std::string& file, pdf::SignatureRequest request = {});
/// Judged at test_time() with the centre's root trusted.
Report verify_pdf_text(const std::string& file);

/// A report in words, for messages and to compare.
std::string words(const Report& report);
bool has_finding(const SignatureReport& report, std::string_view code);

}  // namespace karta::crypto::testing
