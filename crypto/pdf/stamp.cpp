#include "crypto/pdf/stamp.h"

#include <cairo-pdf.h>
#include <pango/pangocairo.h>
#include <qrencode.h>

#include <algorithm>
#include <functional>
#include <memory>

namespace karta::crypto::pdf {
namespace {

constexpr double kMargin = 5;        // points
constexpr double kLargestFont = 10;  // points; smaller until everything fits
constexpr double kSmallestFont = 3;

template <class T, auto Free>
struct Freed {
  void operator()(T* pointer) const { Free(pointer); }
};
template <class T, auto Free>
using Owned = std::unique_ptr<T, Freed<T, Free>>;

void unref_object(PangoLayout* layout) { g_object_unref(layout); }

cairo_status_t write_octets(void* closure, const unsigned char* data, unsigned length) {
  append(*static_cast<Bytes*>(closure), {data, length});
  return CAIRO_STATUS_SUCCESS;
}

using Layout = Owned<PangoLayout, unref_object>;

Layout layout_of(cairo_t* cairo, const Stamp& stamp, double font, double width) {
  Layout layout(pango_cairo_create_layout(cairo));
  Owned<PangoFontDescription, pango_font_description_free> description(pango_font_description_new());
  pango_font_description_set_family(description.get(), "DejaVu Sans, Noto Sans, sans-serif");
  pango_font_description_set_absolute_size(description.get(), font * PANGO_SCALE);
  pango_layout_set_font_description(layout.get(), description.get());
  pango_layout_set_width(layout.get(), static_cast<int>(width * PANGO_SCALE));
  pango_layout_set_wrap(layout.get(), PANGO_WRAP_WORD_CHAR);
  std::string text = stamp.title;
  for (const std::string& line : stamp.lines) text += (text.empty() ? "" : "\n") + line;
  pango_layout_set_text(layout.get(), text.data(), static_cast<int>(text.size()));
  if (!stamp.title.empty()) {
    PangoAttrList* const attributes = pango_attr_list_new();
    PangoAttribute* const bold = pango_attr_weight_new(PANGO_WEIGHT_BOLD);
    bold->start_index = 0;
    bold->end_index = static_cast<guint>(stamp.title.size());
    pango_attr_list_insert(attributes, bold);
    pango_layout_set_attributes(layout.get(), attributes);
    pango_attr_list_unref(attributes);
  }
  return layout;
}

Status draw_qr(cairo_t* cairo, const std::string& text, double x, double y, double side) {
  const Owned<QRcode, QRcode_free> code(QRcode_encodeString8bit(text.c_str(), 0, QR_ECLEVEL_M));
  if (code == nullptr) return fail(ErrorKind::unsupported, "the text for the QR code is too long");
  constexpr int kQuiet = 2;
  const double module = side / (code->width + 2 * kQuiet);
  for (int row = 0; row < code->width; ++row) {
    for (int column = 0; column < code->width; ++column) {
      if ((code->data[row * code->width + column] & 1) == 0) continue;
      // A hair larger, or viewers show seams between modules.
      cairo_rectangle(cairo, x + (column + kQuiet) * module, y + (row + kQuiet) * module, module * 1.02, module * 1.02);
    }
  }
  cairo_fill(cairo);
  return {};
}

/// A PDF of one page, as large as the stamp.
Result<Bytes> draw(const Stamp& stamp, double width, double height) {
  Bytes out;
  const Owned<cairo_surface_t, cairo_surface_destroy> surface(
      cairo_pdf_surface_create_for_stream(write_octets, &out, width, height));
  const Owned<cairo_t, cairo_destroy> cairo(cairo_create(surface.get()));
  cairo_set_source_rgb(cairo.get(), 1, 1, 1);
  cairo_rectangle(cairo.get(), 0, 0, width, height);
  cairo_fill(cairo.get());
  cairo_set_source_rgb(cairo.get(), 0.08, 0.22, 0.55);
  cairo_set_line_width(cairo.get(), 1);
  const double radius = std::min(6.0, height / 4), inset = 0.75;
  const double right = width - inset - radius, bottom = height - inset - radius, left = inset + radius;
  constexpr double kQuarter = 1.5707963267948966;
  cairo_new_sub_path(cairo.get());
  cairo_arc(cairo.get(), right, left, radius, -kQuarter, 0);
  cairo_arc(cairo.get(), right, bottom, radius, 0, kQuarter);
  cairo_arc(cairo.get(), left, bottom, radius, kQuarter, 2 * kQuarter);
  cairo_arc(cairo.get(), left, left, radius, 2 * kQuarter, 3 * kQuarter);
  cairo_close_path(cairo.get());
  cairo_stroke(cairo.get());

  double text_width = width - 2 * kMargin;
  if (!stamp.qr.empty()) {
    const double side = std::min(height - 2 * kMargin, width / 3);
    TRY(draw_qr(cairo.get(), stamp.qr, width - kMargin - side, (height - side) / 2, side));
    text_width -= side + kMargin;
  }
  double font = kLargestFont;
  int text_height = 0;
  Layout layout;
  for (;; font *= 0.93) {
    layout = layout_of(cairo.get(), stamp, font, text_width);
    pango_layout_get_size(layout.get(), nullptr, &text_height);
    if (static_cast<double>(text_height) / PANGO_SCALE <= height - 2 * kMargin || font < kSmallestFont) break;
  }
  cairo_move_to(cairo.get(), kMargin, std::max(kMargin, (height - static_cast<double>(text_height) / PANGO_SCALE) / 2));
  pango_cairo_show_layout(cairo.get(), layout.get());
  cairo_show_page(cairo.get());
  cairo_surface_finish(surface.get());
  if (cairo_surface_status(surface.get()) != CAIRO_STATUS_SUCCESS) {
    return fail(ErrorKind::internal, std::string("the stamp cannot be drawn: ") +
                                         cairo_status_to_string(cairo_surface_status(surface.get())));
  }
  return out;
}

/// Copies `object` of `from` into `update`, and everything it refers to, each once.
Result<Object> take_over(const Document& from, const Object& object, Update& update,
                         std::map<std::uint32_t, Ref>& known) {
  if (object.is(Object::Kind::reference)) {
    const auto [found, fresh] = known.try_emplace(object.ref.number, Ref{});
    if (fresh) {
      const Ref ref = update.add();
      found->second = ref;
      const Object* const target = TRY(from.resolve(object, from.last()));
      const Object copy = TRY(take_over(from, *target, update, known));
      TRY(update.set(ref, copy));
      return Object::make_reference(ref);
    }
    return Object::make_reference(found->second);
  }
  Object out = object;
  for (Object& item : out.items) {
    Object copy = TRY(take_over(from, item, update, known));
    item = std::move(copy);
  }
  for (DictionaryEntry& entry : out.entries) {
    if (entry.key == "Length" && out.is(Object::Kind::stream)) {
      entry.value = Object::make_integer(static_cast<std::int64_t>(out.raw.size()));
      continue;
    }
    Object copy = TRY(take_over(from, entry.value, update, known));
    entry.value = std::move(copy);
  }
  return out;
}

Result<Ref> put_in(Update& update, const Stamp& stamp, double width, double height) {
  if (width < kLeastWidth || height < kLeastHeight) {
    return fail(ErrorKind::usage, "a visible signature needs at least " +
                                      std::to_string(static_cast<int>(kLeastWidth)) + " by " +
                                      std::to_string(static_cast<int>(kLeastHeight)) + " points");
  }
  for (const std::string* one : {&stamp.title, &stamp.qr}) {
    if (!g_utf8_validate(one->data(), static_cast<gssize>(one->size()), nullptr)) {
      return fail(ErrorKind::malformed, "the text of the stamp is not UTF-8");
    }
  }
  for (const std::string& one : stamp.lines) {
    if (!g_utf8_validate(one.data(), static_cast<gssize>(one.size()), nullptr)) {
      return fail(ErrorKind::malformed, "the text of the stamp is not UTF-8");
    }
  }
  const Bytes drawn = TRY(draw(stamp, width, height));
  const Document document = TRY(Document::open(drawn));
  const auto all_pages = TRY(pages(document, document.last()));
  if (all_pages.size() != 1) return fail(ErrorKind::internal, "the stamp came out on several pages");
  const Object& page = *all_pages.front().dictionary;
  const Object* const content = TRY(document.get(page, "Contents", document.last()));
  if (!content->is(Object::Kind::stream)) return fail(ErrorKind::internal, "the stamp came out in several pieces");
  Object form = *content;
  const auto real = [](double value) { return Object::make_real(value); };
  form.set("Type", Object::make_name("XObject"));
  form.set("Subtype", Object::make_name("Form"));
  form.set("BBox", Object::make_array({real(0), real(0), real(width), real(height)}));
  for (const char* key : {"Resources", "Group"}) {
    if (const Object* const value = page.find(key)) form.set(key, *value);
  }
  form.set("Length", Object::make_integer(static_cast<std::int64_t>(form.raw.size())));
  std::map<std::uint32_t, Ref> known;
  const Object copy = TRY(take_over(document, form, update, known));
  const Ref ref = update.add();
  TRY(update.set(ref, copy));
  return ref;
}

}  // namespace

Appearance draw_stamp(Stamp stamp) {
  return [stamp = std::move(stamp)](Update& update, double width, double height) {
    return put_in(update, stamp, width, height);
  };
}

}  // namespace karta::crypto::pdf
