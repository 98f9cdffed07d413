// PdfTesting: small PDF files made for tests, in every shape a cross-reference can have.
#pragma once

#include <map>
#include <string>

#include "crypto/ades/pdf_file.h"
#include "crypto/testing.h"

namespace karta::crypto::testing {

/// A document of `pages` pages with a line of text each; objects 1 catalog, 2 pages, 3 font, then a page and its
/// content each. `extra_catalog` goes into the catalog, `extra_objects` (number, body) behind the pages.
std::string plain_pdf(std::size_t pages = 1, const std::string& extra_catalog = {},
                      const std::map<int, std::string>& extra_objects = {});
/// The same with a hybrid cross-reference: the object `hidden` stands in an object stream only.
std::string hybrid_pdf();
/// An incremental update by hand: objects (number, body), then table and trailer.
std::string add_revision(const std::string& file, const std::map<int, std::string>& objects);

}  // namespace karta::crypto::testing
