// draw_portraits: the faces of the sample citizens, drawn from a few numbers each. Nobody sat for them.
//
//   draw_portraits FOLDER     writes docs/examples/portraits/*.jpg
#include <cairo/cairo.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
// jpeglib.h wants FILE and size_t declared.
#include <jpeglib.h>

#include <cstdlib>
#include <string>
#include <vector>

namespace {

constexpr int kWidth = 360, kHeight = 480;
constexpr std::size_t kWantedOctets = 11'000;

struct Colour {
  double red, green, blue;
};

struct Face {
  const char* name;
  Colour skin, hair, eyes, cloth;
  double width;      // of the head, half, in pixels
  double hair_down;  // how far the hair falls beside the face
  bool beard, glasses;
  unsigned grain;  // of the wall behind
};

constexpr Face kFaces[] = {
    {"99000000153",
     {0.87, 0.72, 0.60},
     {0.28, 0.20, 0.14},
     {0.25, 0.40, 0.55},
     {0.22, 0.32, 0.46},
     84,
     0,
     true,
     false,
     7},
    {"99000000254",
     {0.93, 0.79, 0.68},
     {0.78, 0.77, 0.74},
     {0.36, 0.30, 0.22},
     {0.52, 0.20, 0.28},
     80,
     110,
     false,
     true,
     11},
    {"99000000355",
     {0.72, 0.54, 0.40},
     {0.10, 0.09, 0.09},
     {0.20, 0.14, 0.10},
     {0.18, 0.38, 0.30},
     90,
     0,
     false,
     false,
     23},
};

class Canvas {
 public:
  Canvas() : surface_(cairo_image_surface_create(CAIRO_FORMAT_RGB24, kWidth, kHeight)), cr_(cairo_create(surface_)) {}
  ~Canvas() {
    cairo_destroy(cr_);
    cairo_surface_destroy(surface_);
  }
  Canvas(const Canvas&) = delete;
  Canvas& operator=(const Canvas&) = delete;

  void colour(const Colour& c, double shade = 1.0, double alpha = 1.0) {
    cairo_set_source_rgba(cr_, c.red * shade, c.green * shade, c.blue * shade, alpha);
  }
  void ellipse(double x, double y, double across, double down) {
    cairo_save(cr_);
    cairo_translate(cr_, x, y);
    cairo_scale(cr_, across, down);
    cairo_arc(cr_, 0, 0, 1, 0, 2 * M_PI);
    cairo_restore(cr_);
  }
  void fill() { cairo_fill(cr_); }
  void stroke(double width) {
    cairo_set_line_width(cr_, width);
    cairo_set_line_cap(cr_, CAIRO_LINE_CAP_ROUND);
    cairo_stroke(cr_);
  }
  cairo_t* cr() { return cr_; }

  std::vector<unsigned char> rgb() {
    cairo_surface_flush(surface_);
    const unsigned char* const data = cairo_image_surface_get_data(surface_);
    const int stride = cairo_image_surface_get_stride(surface_);
    std::vector<unsigned char> out;
    out.reserve(static_cast<std::size_t>(kWidth) * kHeight * 3);
    for (int y = 0; y < kHeight; ++y) {
      for (int x = 0; x < kWidth; ++x) {
        const unsigned char* const pixel = data + y * stride + x * 4;
        out.insert(out.end(), {pixel[2], pixel[1], pixel[0]});
      }
    }
    return out;
  }

 private:
  cairo_surface_t* surface_;
  cairo_t* cr_;
};

void draw_wall(Canvas& canvas, unsigned seed) {
  cairo_t* const cr = canvas.cr();
  canvas.colour({0.84, 0.87, 0.90});
  cairo_paint(cr);
  unsigned state = seed;
  const auto next = [&state] { return (state = state * 1664525u + 1013904223u) >> 16; };
  for (int i = 0; i < 900; ++i) {
    const double shade = 0.93 + static_cast<double>(next() % 100) / 900.0;
    canvas.colour({0.84, 0.87, 0.90}, shade, 0.5);
    canvas.ellipse(next() % kWidth, next() % kHeight, 4 + next() % 12, 3 + next() % 7);
    canvas.fill();
  }
}

void draw_face(Canvas& canvas, const Face& face) {
  cairo_t* const cr = canvas.cr();
  const double middle = kWidth / 2.0, head = 205, down = face.width * 1.32;
  if (face.hair_down > 0) {
    canvas.colour(face.hair, 0.9);
    canvas.ellipse(middle, head + face.hair_down * 0.35, face.width * 1.22, down * 0.95 + face.hair_down * 0.4);
    canvas.fill();
  }
  canvas.colour(face.cloth);
  canvas.ellipse(middle, kHeight + 44, 168, 168);
  canvas.fill();
  canvas.colour(face.skin, 0.86);
  cairo_rectangle(cr, middle - 36, head + down - 50, 72, 92);
  canvas.fill();
  canvas.ellipse(middle, head + down + 42, 36, 18);
  canvas.fill();
  canvas.colour(face.cloth, 0.8);
  cairo_move_to(cr, middle - 60, kHeight - 104);
  cairo_line_to(cr, middle, kHeight - 60);
  cairo_line_to(cr, middle + 60, kHeight - 104);
  canvas.stroke(7);
  canvas.colour(face.skin, 0.92);
  for (const double side : {-1.0, 1.0}) {
    canvas.ellipse(middle + side * face.width, head + 8, 13, 24);
    canvas.fill();
  }
  canvas.colour(face.skin);
  canvas.ellipse(middle, head, face.width, down);
  canvas.fill();
  // Light from the left: the right cheek lies in shadow.
  cairo_pattern_t* const shadow = cairo_pattern_create_linear(middle - face.width, 0, middle + face.width, 0);
  cairo_pattern_add_color_stop_rgba(shadow, 0, 1, 1, 1, 0.14);
  cairo_pattern_add_color_stop_rgba(shadow, 0.5, 0, 0, 0, 0);
  cairo_pattern_add_color_stop_rgba(shadow, 1, 0, 0, 0, 0.16);
  canvas.ellipse(middle, head, face.width, down);
  cairo_set_source(cr, shadow);
  canvas.fill();
  cairo_pattern_destroy(shadow);
  // Hair: the top of the head, above the brow.
  cairo_save(cr);
  canvas.ellipse(middle, head - 4, face.width * 1.07, down * 1.06);
  cairo_clip(cr);
  canvas.colour(face.hair);
  cairo_move_to(cr, 0, 0);
  cairo_line_to(cr, kWidth, 0);
  cairo_line_to(cr, kWidth, head - 30);
  cairo_curve_to(cr, middle + 60, head - 92, middle - 30, head - 62, 0, head - 24);
  cairo_close_path(cr);
  canvas.fill();
  canvas.colour(face.hair, 1.5, 0.35);
  for (int i = 0; i < 26; ++i) {
    const double x = middle - face.width + i * face.width / 13;
    cairo_move_to(cr, middle + (x - middle) * 0.3, head - down);
    cairo_curve_to(cr, x, head - down + 8, x, head - 90, x + 6, head - 64);
    canvas.stroke(1.2);
  }
  cairo_restore(cr);
  if (face.beard) {
    cairo_save(cr);
    canvas.ellipse(middle, head, face.width, down);
    cairo_clip(cr);
    canvas.colour(face.hair, 1.0, 0.85);
    cairo_move_to(cr, 0, head + 34);
    cairo_curve_to(cr, middle - 60, head + 66, middle - 40, head + 44, middle, head + 46);
    cairo_curve_to(cr, middle + 40, head + 44, middle + 60, head + 66, kWidth, head + 34);
    cairo_line_to(cr, kWidth, kHeight);
    cairo_line_to(cr, 0, kHeight);
    cairo_close_path(cr);
    canvas.fill();
    cairo_restore(cr);
  }
  for (const double side : {-1.0, 1.0}) {
    const double x = middle + side * 35, y = head - 6;
    canvas.colour({0.97, 0.97, 0.96});
    canvas.ellipse(x, y, 16, 8);
    canvas.fill();
    canvas.colour(face.eyes);
    canvas.ellipse(x, y, 7.5, 7.5);
    canvas.fill();
    canvas.colour({0.05, 0.05, 0.05});
    canvas.ellipse(x, y, 3.4, 3.4);
    canvas.fill();
    canvas.colour({1, 1, 1});
    canvas.ellipse(x - 2, y - 2.5, 1.5, 1.5);
    canvas.fill();
    canvas.colour(face.skin, 0.6);
    cairo_move_to(cr, x - 17, y - 1);
    cairo_curve_to(cr, x - 8, y - 11, x + 8, y - 11, x + 17, y - 1);
    canvas.stroke(2);
    canvas.colour(face.hair, 0.9);
    cairo_move_to(cr, x - 20, y - 19);
    cairo_curve_to(cr, x - 8, y - 27, x + 8, y - 27, x + 20, y - 19);
    canvas.stroke(5);
    if (face.glasses) {
      canvas.colour({0.15, 0.15, 0.18});
      canvas.ellipse(x, y, 27, 21);
      canvas.stroke(3);
    }
  }
  if (face.glasses) {
    canvas.colour({0.15, 0.15, 0.18});
    cairo_move_to(cr, middle - 8, head - 8);
    cairo_line_to(cr, middle + 8, head - 8);
    canvas.stroke(3);
  }
  canvas.colour(face.skin, 0.68);
  cairo_move_to(cr, middle - 4, head + 4);
  cairo_curve_to(cr, middle - 12, head + 34, middle - 14, head + 40, middle + 2, head + 40);
  canvas.stroke(2.5);
  canvas.colour({0.66, 0.32, 0.30});
  cairo_move_to(cr, middle - 27, head + 66);
  cairo_curve_to(cr, middle - 8, head + 74, middle + 8, head + 74, middle + 27, head + 66);
  canvas.stroke(5);
}

void draw_words(Canvas& canvas) {
  cairo_t* const cr = canvas.cr();
  cairo_save(cr);
  cairo_select_font_face(cr, "DejaVu Sans", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_BOLD);
  cairo_set_font_size(cr, 25);
  cairo_set_source_rgba(cr, 1, 1, 1, 0.85);
  cairo_move_to(cr, 20, kHeight - 14);
  cairo_show_text(cr, "ОБРАЗЕЦ · SPECIMEN");
  cairo_restore(cr);
}

std::vector<unsigned char> encode(const std::vector<unsigned char>& rgb, int quality) {
  jpeg_compress_struct jpeg{};
  jpeg_error_mgr errors{};
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_compress(&jpeg);
  unsigned char* octets = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&jpeg, &octets, &size);
  jpeg.image_width = kWidth;
  jpeg.image_height = kHeight;
  jpeg.input_components = 3;
  jpeg.in_color_space = JCS_RGB;
  jpeg_set_defaults(&jpeg);
  jpeg.optimize_coding = TRUE;
  jpeg_set_quality(&jpeg, quality, TRUE);
  jpeg_start_compress(&jpeg, TRUE);
  for (int y = 0; y < kHeight; ++y) {
    JSAMPROW row = const_cast<unsigned char*>(rgb.data() + static_cast<std::size_t>(y) * kWidth * 3);
    jpeg_write_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_compress(&jpeg);
  std::vector<unsigned char> out(octets, octets + size);
  jpeg_destroy_compress(&jpeg);
  std::free(octets);
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: draw_portraits FOLDER\n");
    return 64;
  }
  for (const Face& face : kFaces) {
    Canvas canvas;
    draw_wall(canvas, face.grain);
    draw_face(canvas, face);
    draw_words(canvas);
    const std::vector<unsigned char> rgb = canvas.rgb();
    int quality = 40;
    std::vector<unsigned char> jpeg = encode(rgb, quality);
    while (jpeg.size() < kWantedOctets && quality < 98) jpeg = encode(rgb, quality += 2);
    const std::string path = std::string(argv[1]) + "/" + face.name + ".jpg";
    std::FILE* const file = std::fopen(path.c_str(), "wb");
    if (file == nullptr || std::fwrite(jpeg.data(), 1, jpeg.size(), file) != jpeg.size() || std::fclose(file) != 0) {
      std::fprintf(stderr, "error: cannot write %s\n", path.c_str());
      return 74;
    }
    std::printf("%s: %zu octets, quality %d\n", path.c_str(), jpeg.size(), quality);
  }
  return 0;
}
