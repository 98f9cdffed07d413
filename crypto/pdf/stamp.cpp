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
constexpr double kQuarter = 1.5707963267948966;

struct Colour {
  double red, green, blue;
};
constexpr Colour kInk{0.08, 0.22, 0.55}, kPaper{0.97, 0.98, 1.0}, kText{0.10, 0.13, 0.20}, kLabel{0.36, 0.42, 0.55},
    kWhite{1, 1, 1};

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

Layout layout_of(cairo_t* cairo, const std::string& text, double font, double width) {
  Layout layout(pango_cairo_create_layout(cairo));
  Owned<PangoFontDescription, pango_font_description_free> description(pango_font_description_new());
  pango_font_description_set_family(description.get(), "DejaVu Sans, Noto Sans, sans-serif");
  pango_font_description_set_absolute_size(description.get(), font * PANGO_SCALE);
  pango_layout_set_font_description(layout.get(), description.get());
  pango_layout_set_width(layout.get(), static_cast<int>(width * PANGO_SCALE));
  pango_layout_set_wrap(layout.get(), PANGO_WRAP_WORD_CHAR);
  pango_layout_set_text(layout.get(), text.data(), static_cast<int>(text.size()));
  return layout;
}

/// An attribute from octet `begin` to `end` of a layout's text.
void apply(PangoAttrList* list, PangoAttribute* attribute, std::size_t begin, std::size_t end) {
  attribute->start_index = static_cast<guint>(begin);
  attribute->end_index = static_cast<guint>(end);
  pango_attr_list_insert(list, attribute);
}

double height_of(const Layout& layout) {
  int height = 0;
  pango_layout_get_size(layout.get(), nullptr, &height);
  return static_cast<double>(height) / PANGO_SCALE;
}

/// The title, bold.
Layout title_of(cairo_t* cairo, const Stamp& stamp, double font, double width) {
  Layout layout = layout_of(cairo, stamp.title, font, width);
  Owned<PangoAttrList, pango_attr_list_unref> list(pango_attr_list_new());
  apply(list.get(), pango_attr_weight_new(PANGO_WEIGHT_BOLD), 0, stamp.title.size());
  pango_layout_set_attributes(layout.get(), list.get());
  return layout;
}

/// The lines, what stands before a colon paler than what is behind it.
Layout body_of(cairo_t* cairo, const Stamp& stamp, double font, double width) {
  std::string text;
  std::vector<std::pair<std::size_t, std::size_t>> labels;
  for (const std::string& line : stamp.lines) {
    if (!text.empty()) text += '\n';
    if (const std::size_t colon = line.find(": "); colon != std::string::npos) {
      labels.emplace_back(text.size(), text.size() + colon + 1);
    }
    text += line;
  }
  Layout layout = layout_of(cairo, text, font, width);
  pango_layout_set_spacing(layout.get(), static_cast<int>(font * 0.12 * PANGO_SCALE));
  Owned<PangoAttrList, pango_attr_list_unref> list(pango_attr_list_new());
  const auto part = [](double value) { return static_cast<guint16>(value * 65535); };
  for (const auto& [begin, end] : labels) {
    apply(list.get(), pango_attr_foreground_new(part(kLabel.red), part(kLabel.green), part(kLabel.blue)), begin, end);
  }
  pango_layout_set_attributes(layout.get(), list.get());
  return layout;
}

void set_colour(cairo_t* cairo, const Colour& colour) {
  cairo_set_source_rgb(cairo, colour.red, colour.green, colour.blue);
}

/// The outline of a rectangle with round corners.
void round_rectangle(cairo_t* cairo, double inset, double width, double height, double radius) {
  const double left = inset + radius, top = inset + radius, right = width - inset - radius,
               bottom = height - inset - radius;
  cairo_new_sub_path(cairo);
  cairo_arc(cairo, right, top, radius, -kQuarter, 0);
  cairo_arc(cairo, right, bottom, radius, 0, kQuarter);
  cairo_arc(cairo, left, bottom, radius, kQuarter, 2 * kQuarter);
  cairo_arc(cairo, left, top, radius, 2 * kQuarter, 3 * kQuarter);
  cairo_close_path(cairo);
}

/// A tick in a disc.
void draw_tick(cairo_t* cairo, double x, double y, double side) {
  set_colour(cairo, kWhite);
  cairo_arc(cairo, x + side / 2, y + side / 2, side / 2, 0, 4 * kQuarter);
  cairo_fill(cairo);
  set_colour(cairo, kInk);
  cairo_set_line_width(cairo, side * 0.13);
  cairo_set_line_cap(cairo, CAIRO_LINE_CAP_ROUND);
  cairo_set_line_join(cairo, CAIRO_LINE_JOIN_ROUND);
  cairo_move_to(cairo, x + side * 0.28, y + side * 0.52);
  cairo_line_to(cairo, x + side * 0.44, y + side * 0.68);
  cairo_line_to(cairo, x + side * 0.73, y + side * 0.35);
  cairo_stroke(cairo);
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
  constexpr double kInset = 0.5;
  const double radius = std::min(5.0, height / 5);
  const double qr_side = stamp.qr.empty() ? 0 : std::min(height - 2 * kMargin, width / 3);
  const double text_width = width - 2 * kMargin - (stamp.qr.empty() ? 0 : qr_side + kMargin);

  // The largest letters that fit: a band with the title, the lines below it.
  Layout title, body;
  double font = kLargestFont, tick = 0, band = 0, body_height = 0;
  for (;; font *= 0.95) {
    tick = stamp.title.empty() ? 0 : font * 1.35;
    title = title_of(cairo.get(), stamp, font, text_width - tick * 1.35);
    body = body_of(cairo.get(), stamp, font, text_width);
    const double gap = font * 0.4;
    band = stamp.title.empty() ? 0 : std::max(height_of(title), tick) + 2 * gap;
    body_height = stamp.lines.empty() ? 0 : height_of(body) + 2 * gap;
    if (band + body_height <= height - 2 * kInset || font < kSmallestFont) break;
  }
  // Without lines the band is the stamp.
  if (stamp.lines.empty()) band = height - 2 * kInset;

  cairo_save(cairo.get());
  round_rectangle(cairo.get(), kInset, width, height, radius);
  cairo_clip(cairo.get());
  set_colour(cairo.get(), kPaper);
  cairo_paint(cairo.get());
  set_colour(cairo.get(), kInk);
  const double band_width = stamp.qr.empty() ? width : width - qr_side - 1.5 * kMargin;
  cairo_rectangle(cairo.get(), 0, 0, band_width, band + kInset);
  cairo_fill(cairo.get());
  if (!stamp.qr.empty()) {
    set_colour(cairo.get(), kWhite);
    cairo_rectangle(cairo.get(), band_width, 0, width - band_width, height);
    cairo_fill(cairo.get());
  }
  cairo_restore(cairo.get());
  if (!stamp.title.empty()) {
    draw_tick(cairo.get(), kMargin, kInset + (band - tick) / 2, tick);
    set_colour(cairo.get(), kWhite);
    cairo_move_to(cairo.get(), kMargin + tick * 1.35, kInset + (band - height_of(title)) / 2);
    pango_cairo_show_layout(cairo.get(), title.get());
  }
  if (!stamp.lines.empty()) {
    set_colour(cairo.get(), kText);
    cairo_move_to(cairo.get(), kMargin,
                  kInset + band + std::max(0.0, (height - 2 * kInset - band - height_of(body)) / 2));
    pango_cairo_show_layout(cairo.get(), body.get());
  }
  if (!stamp.qr.empty()) {
    set_colour(cairo.get(), kText);
    TRY(draw_qr(cairo.get(), stamp.qr, width - kMargin - qr_side, (height - qr_side) / 2, qr_side));
  }
  set_colour(cairo.get(), kInk);
  cairo_set_line_width(cairo.get(), 1);
  round_rectangle(cairo.get(), kInset, width, height, radius);
  cairo_stroke(cairo.get());
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
