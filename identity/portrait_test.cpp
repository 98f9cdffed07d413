#include "identity/portrait.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "crypto/digest.h"
#include "identity/registry_testing.h"

namespace karta::identity {
namespace {

using testing::HasSubstr;

Bytes drawn(std::string_view name = "99000000153") {
  const auto file = read_file(std::string(KARTA_SOURCE_DIR) + "/docs/examples/portraits/" + std::string(name) + ".jpg",
                              kMostPictureFileOctets);
  EXPECT_TRUE(file);
  return file ? *file : Bytes{};
}

Bytes segment(std::uint8_t marker, std::string_view body) {
  const std::size_t length = body.size() + 2;
  return concat(
      {Bytes{0xFF, marker, static_cast<std::uint8_t>(length >> 8), static_cast<std::uint8_t>(length)}, as_bytes(body)});
}
/// `more` behind SOI.
Bytes with(const Bytes& file, const Bytes& more) {
  return concat({ByteView(file).first(2), more, ByteView(file).subspan(2)});
}
std::size_t find_marker(const Bytes& file, std::uint8_t marker) {
  std::size_t at = 2;
  while (at + 4 < file.size() && file[at + 1] != marker) at += 2 + load_be16(ByteView(file).subspan(at + 2));
  EXPECT_LT(at + 4, file.size());
  return at;
}
std::string fault_of(const Bytes& file) {
  const auto read = Portrait::from_jpeg(file);
  return read ? "none" : std::string(row_of(read.error().kind).name) + ": " + read.error().message;
}
bool contains(const Bytes& octets, std::string_view words) {
  return as_text(octets).find(words) != std::string_view::npos;
}

/// EXIF with one tag: how the picture is to be turned.
std::string exif(std::uint8_t orientation, bool little) {
  using namespace std::string_literals;
  const std::string value(1, static_cast<char>(orientation));
  return little ? "Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0"s + value + "\0\0\0\0\0\0\0"s
                : "Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0"s + value + "\0\0\0\0\0\0"s;
}

TEST(Portrait, DrawnFacesAreTaken) {
  for (const char* name : {"99000000153", "99000000254", "99000000355"}) {
    const auto read = Portrait::from_jpeg(drawn(name));
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(read->width(), 360u);
    EXPECT_EQ(read->height(), 480u);
    EXPECT_EQ(read->sha256(), crypto::digest(crypto::Hash::sha256, read->jpeg()));
    // What is kept is a picture to be taken again, and stays as it is.
    const auto again = Portrait::from_jpeg(read->jpeg());
    ASSERT_TRUE(again);
    EXPECT_EQ(again->jpeg(), read->jpeg());
  }
}

TEST(Portrait, WhatIsNoPictureIsTakenOut) {
  const Bytes plain = Portrait::from_jpeg(drawn())->jpeg();
  Bytes more = segment(0xE1, exif(1, true));
  append(more, segment(0xE1, "http://ns.adobe.com/xap/1.0/ somebody's street 7"));
  append(more, segment(0xE2, "ICC_PROFILE of somebody's printer"));
  append(more, segment(0xED, "Photoshop 3.0 taken by somebody"));
  append(more, segment(0xFE, "GPS 55.75 37.61 somebody"));
  Bytes file = with(drawn(), more);
  append(file, as_bytes("a second picture of somebody behind the end"));
  ASSERT_TRUE(contains(file, "somebody"));
  const auto read = Portrait::from_jpeg(file);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->jpeg(), plain);
  EXPECT_FALSE(contains(read->jpeg(), "somebody"));
  EXPECT_FALSE(contains(read->jpeg(), "Exif"));
}

TEST(Portrait, APictureThatExifTurnsIsRefused) {
  for (const bool little : {true, false}) {
    for (const std::uint8_t turned : {3, 6, 8}) {
      EXPECT_THAT(fault_of(with(drawn(), segment(0xE1, exif(turned, little)))), HasSubstr("upright only by its EXIF"));
    }
    EXPECT_EQ(fault_of(with(drawn(), segment(0xE1, exif(1, little)))), "none");
  }
  // EXIF that cannot be read says nothing, and goes.
  EXPECT_EQ(fault_of(with(drawn(), segment(0xE1, std::string_view("Exif\0\0II*\0\xFF\xFF\xFF\xFF", 14)))), "none");
}

TEST(Portrait, OtherKindsAreRefusedInPlainWords) {
  const Bytes file = drawn();
  const auto changed = [&](std::size_t at, std::uint8_t value) {
    Bytes other = file;
    other[at] = value;
    return fault_of(other);
  };
  const std::size_t frame = find_marker(file, 0xC0), scan = find_marker(file, 0xDA), table = find_marker(file, 0xDB);
  EXPECT_THAT(changed(frame + 1, 0xC2), HasSubstr("unsupported: the picture is a JPEG with progressive coding"));
  EXPECT_THAT(changed(frame + 1, 0xC9), HasSubstr("unsupported"));
  EXPECT_THAT(changed(frame + 4, 12), HasSubstr("eight bits"));
  EXPECT_THAT(changed(frame + 9, 4), HasSubstr("YCbCr or grey"));
  EXPECT_THAT(changed(frame + 5, 0), HasSubstr("limit: the picture has 360 x 224 pixels"));
  EXPECT_THAT(changed(frame + 11, 0x51), HasSubstr("component of no form"));
  EXPECT_THAT(changed(scan + 4, 1), HasSubstr("a scan for each colour"));
  EXPECT_THAT(changed(scan + 6, 0x22), HasSubstr("a table is missing"));
  EXPECT_THAT(changed(scan + 12, 1), HasSubstr("no baseline JPEG"));
  EXPECT_THAT(changed(table + 4, 0x10), HasSubstr("quantisation"));
  EXPECT_THAT(changed(table + 5, 0), HasSubstr("a zero"));
  EXPECT_THAT(fault_of(with(file, segment(0xEE, std::string_view("Adobe\0d\0\0\0\0\0", 12)))),
              HasSubstr("YCbCr or grey"));
  EXPECT_EQ(fault_of(with(file, segment(0xEE, std::string_view("Adobe\0d\0\0\0\0\x01", 12)))), "none");

  EXPECT_THAT(fault_of(to_bytes(as_bytes("\x89PNG\r\n"))), HasSubstr("unsupported: the picture is a PNG"));
  EXPECT_THAT(fault_of(to_bytes(as_bytes("\xFF\x4F\xFF\x51..."))), HasSubstr("a JPEG 2000"));
  EXPECT_THAT(fault_of(to_bytes(as_bytes("MZ"))), HasSubstr("malformed: the picture is no JPEG"));
  EXPECT_THAT(fault_of(Bytes(kMostPictureFileOctets + 1, 0xFF)), HasSubstr("limit"));
}

TEST(Portrait, ShapeAndSizeHaveBounds) {
  const auto sized = [](unsigned width, unsigned height) {
    Bytes file = drawn();
    const std::size_t frame = find_marker(file, 0xC0);
    file[frame + 5] = static_cast<std::uint8_t>(height >> 8), file[frame + 6] = static_cast<std::uint8_t>(height);
    file[frame + 7] = static_cast<std::uint8_t>(width >> 8), file[frame + 8] = static_cast<std::uint8_t>(width);
    return fault_of(file);
  };
  EXPECT_EQ(sized(240, 320), "none");
  EXPECT_EQ(sized(960, 1280), "none");
  EXPECT_THAT(sized(239, 320), HasSubstr("239 x 320"));
  EXPECT_THAT(sized(961, 1280), HasSubstr("961 x 1280"));
  EXPECT_THAT(sized(240, 299), HasSubstr("240 x 299"));
  EXPECT_THAT(sized(480, 360), HasSubstr("no portrait in its shape"));
  EXPECT_THAT(sized(300, 600), HasSubstr("no portrait in its shape"));

  // Zeros are codes: the scan grows without a marker in it.
  const auto long_by = [](std::size_t octets) {
    const Bytes file = drawn();
    const ByteView all(file);
    return fault_of(concat({all.first(all.size() - 2), Bytes(octets, 0x00), all.last(2)}));
  };
  const std::size_t kept = Portrait::from_jpeg(drawn())->jpeg().size();
  EXPECT_EQ(long_by(kMostPortraitOctets - kept), "none");
  EXPECT_THAT(long_by(kMostPortraitOctets - kept + 1), HasSubstr("limit: the picture has 24001 octets"));
  Bytes little = drawn();
  little.erase(little.begin() + 3000, little.end() - 2);
  EXPECT_THAT(fault_of(little), HasSubstr("limit: the picture has"));
}

TEST(Portrait, CutAnywhereItIsRefused) {
  const Bytes file = drawn();
  for (std::size_t size = 0; size < file.size(); size += size < 1000 ? 1 : 97) {
    const std::string fault = fault_of(to_bytes(ByteView(file).first(size)));
    EXPECT_NE(fault, "none") << size;
    EXPECT_THAT(fault, HasSubstr("the picture")) << size;
  }
}

TEST(Portrait, ScansAreOneWithRestartsInTheirTurn) {
  const Bytes file = drawn();
  const ByteView all(file);
  const auto ending = [&](Bytes middle) { return fault_of(concat({all.first(all.size() - 2), middle, all.last(2)})); };
  EXPECT_THAT(ending({0xFF, 0xD0}), HasSubstr("restart out of turn"));  // no DRI
  EXPECT_THAT(ending({0xFF, 0xDA, 0x00, 0x02}), HasSubstr("more than one scan"));
  EXPECT_EQ(ending({0xFF, 0xFF, 0xFF}), "none");  // fill before the end
  const auto restarting = [&](Bytes middle) {
    return fault_of(
        with(concat({all.first(all.size() - 2), middle, all.last(2)}), segment(0xDD, std::string_view("\0\x08", 2))));
  };
  EXPECT_EQ(restarting({0xFF, 0xD0, 0x11, 0xFF, 0xD1}), "none");
  EXPECT_THAT(restarting({0xFF, 0xD1}), HasSubstr("restart out of turn"));
}

class PortraitRegistry : public RegistryFixture {
 protected:
  Portrait portrait(std::string_view name = "99000000153") { return *Portrait::from_jpeg(drawn(name)); }
};

TEST_F(PortraitRegistry, IsKeptReplacedAndTakenAwayAndTheLogSaysWhoLooked) {
  Registry registry = create();
  const CitizenId id = *registry.add_citizen(made_up_citizen(1), cause_);
  EXPECT_FALSE(*registry.has_portrait(id));
  EXPECT_EQ(registry.read_portrait(id, purpose_).error().kind, ErrorKind::not_found);
  EXPECT_TRUE(registry.access_log(id)->empty());

  EXPECT_TRUE(*registry.set_portrait(id, portrait(), cause_));
  EXPECT_FALSE(*registry.set_portrait(id, portrait(), cause_)) << "the same picture";
  EXPECT_TRUE(*registry.has_portrait(id));
  EXPECT_TRUE(registry.access_log(id)->empty()) << "nobody has looked yet";
  const auto read = registry.read_portrait(id, purpose_);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->jpeg(), portrait().jpeg());
  const auto log = registry.access_log(id);
  ASSERT_EQ(log->size(), 1u);
  EXPECT_EQ(log->front().what, "portrait");
  EXPECT_EQ(log->front().purpose.case_id, purpose_.case_id);
  EXPECT_EQ(registry.read_portrait(id, {"somebody", "", ""}).error().kind, ErrorKind::usage);

  EXPECT_TRUE(*registry.set_portrait(id, portrait("99000000254"), cause_));
  EXPECT_EQ(registry.read_portrait(id, purpose_)->jpeg(), portrait("99000000254").jpeg());
  ASSERT_TRUE(registry.remove_portrait(id, cause_));
  EXPECT_EQ(registry.remove_portrait(id, cause_).error().kind, ErrorKind::not_found);
  EXPECT_FALSE(*registry.has_portrait(id));
  std::size_t changes = 0;
  const auto events = registry.events_of(id);
  ASSERT_TRUE(events);
  for (const Event& event : *events) changes += event.kind == "citizen-changed" && event.to == "portrait" ? 1 : 0;
  EXPECT_EQ(changes, 3u);
  EXPECT_EQ(registry.set_portrait(CitizenId{4711}, portrait(), cause_).error().kind, ErrorKind::not_found);
  EXPECT_TRUE(registry.check_integrity());
}

}  // namespace
}  // namespace karta::identity
