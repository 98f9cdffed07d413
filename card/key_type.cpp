#include "card/key_type.h"

#include <array>

namespace karta::card {
namespace {

constexpr auto kTypes = std::to_array<CardKeyType>({
    {.name = "p256", .family = KeyFamily::ec, .bits = 256, .file_descriptor = 0x22, .curve_oid = "1.2.840.10045.3.1.7"},
    {.name = "p384", .family = KeyFamily::ec, .bits = 384, .file_descriptor = 0x22, .curve_oid = "1.3.132.0.34"},
    {.name = "p521", .family = KeyFamily::ec, .bits = 521, .file_descriptor = 0x22, .curve_oid = "1.3.132.0.35"},
    {.name = "rsa-2048", .family = KeyFamily::rsa, .bits = 2048, .file_descriptor = 0x11, .curve_oid = ""},
    {.name = "rsa-3072", .family = KeyFamily::rsa, .bits = 3072, .file_descriptor = 0x11, .curve_oid = ""},
    {.name = "rsa-4096", .family = KeyFamily::rsa, .bits = 4096, .file_descriptor = 0x11, .curve_oid = ""},
});

}  // namespace

std::span<const CardKeyType> card_key_types() { return kTypes; }

const CardKeyType* find_card_key_type(std::string_view name) {
  for (const CardKeyType& type : kTypes) {
    if (type.name == name) return &type;
  }
  return nullptr;
}

const CardKeyType* find_card_key_type(KeyFamily family, unsigned bits) {
  for (const CardKeyType& type : kTypes) {
    if (type.family == family && type.bits == bits) return &type;
  }
  return nullptr;
}

}  // namespace karta::card
