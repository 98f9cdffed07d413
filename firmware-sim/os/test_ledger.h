// The terminal's side of ledgers for tests: OPEN, COMMIT and RATIFY written from docs/transactions.md beside the card's
// own code, with OpenSSL's own CMAC and CBC underneath. A wrong answer is an exception.
#pragma once

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <memory>
#include <stdexcept>
#include <string>

#include "firmware-sim/os/test_chip.h"

namespace karta::os {

inline const char* aes_cbc_name(const Memory& key) { return key.size() == 32 ? "AES-256-CBC" : "AES-128-CBC"; }

inline Memory reference_cmac(const Memory& key, const Memory& message) {
  std::unique_ptr<EVP_MAC, void (*)(EVP_MAC*)> mac(EVP_MAC_fetch(nullptr, "CMAC", nullptr), EVP_MAC_free);
  std::unique_ptr<EVP_MAC_CTX, void (*)(EVP_MAC_CTX*)> run(EVP_MAC_CTX_new(mac.get()), EVP_MAC_CTX_free);
  std::string cipher = aes_cbc_name(key);
  const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_CIPHER, cipher.data(), 0),
                                   OSSL_PARAM_construct_end()};
  Memory out(16);
  std::size_t n = 0;
  if (EVP_MAC_init(run.get(), key.data(), key.size(), parameters) != 1 ||
      EVP_MAC_update(run.get(), message.data(), message.size()) != 1 ||
      EVP_MAC_final(run.get(), out.data(), &n, out.size()) != 1 || n != 16) {
    throw std::runtime_error("cmac");
  }
  return out;
}

inline Memory reference_decrypt(const Memory& key, const Memory& cryptogram) {
  std::unique_ptr<EVP_CIPHER, void (*)(EVP_CIPHER*)> cipher(EVP_CIPHER_fetch(nullptr, aes_cbc_name(key), nullptr),
                                                            EVP_CIPHER_free);
  std::unique_ptr<EVP_CIPHER_CTX, void (*)(EVP_CIPHER_CTX*)> run(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
  const Memory iv(16, 0);
  Memory out(cryptogram.size() + 16);
  int n = 0;
  EVP_DecryptInit_ex2(run.get(), cipher.get(), key.data(), iv.data(), nullptr);
  EVP_CIPHER_CTX_set_padding(run.get(), 0);
  if (EVP_DecryptUpdate(run.get(), out.data(), &n, cryptogram.data(), static_cast<int>(cryptogram.size())) != 1 ||
      static_cast<std::size_t>(n) != cryptogram.size()) {
    throw std::runtime_error("cbc");
  }
  out.resize(cryptogram.size());
  while (!out.empty() && out.back() == 0) out.pop_back();
  if (out.empty() || out.back() != 0x80) throw std::runtime_error("padding");
  out.pop_back();
  return out;
}

inline Memory cut_out(const Memory& data, std::size_t at, std::size_t n) {
  if (at > data.size() || n > data.size() - at) throw std::out_of_range("cut_out");
  return {data.begin() + static_cast<long>(at), data.begin() + static_cast<long>(at + n)};
}

// KDF(k; x) of the page.
inline Memory reference_kdf(const Memory& key, const Memory& x) {
  Memory out = reference_cmac(key, Memory{1} + x);
  return key.size() == 32 ? out + reference_cmac(key, Memory{2} + x) : out;
}

inline Memory be32(u32 value) {
  Memory out(4);
  write_u32(out.data(), value);
  return out;
}
inline Memory be32(const std::vector<u32>& values) {
  Memory out;
  for (const u32 value : values) out = out + be32(value);
  return out;
}

// What OPEN tells.
struct LedgerView {
  bool ratified = false;
  bool credit = false;
  u32 sequence = 0;
  u16 version = 0;
  std::vector<u32> counters;
  Memory product;
  Memory entry;
  Memory code;

  friend bool operator==(const LedgerView&, const LedgerView&) = default;
};

// A terminal that knows a ledger's key. `counters`, `entry`, `product`: the ledger's sizes, which SELECT tells.
class LedgerTerminal {
 public:
  LedgerTerminal(u8 kind, Memory key, Memory serial, std::size_t counters, std::size_t entry_octets)
      : kind_(kind),
        key_(std::move(key)),
        serial_(std::move(serial)),
        counters_(counters),
        entry_octets_(entry_octets) {}

  Memory open_command() {
    for (std::size_t i = 0; i < nonce_.size(); ++i) nonce_[i] = static_cast<u8>(++salt_ * 31 + i);
    return open_command(nonce_);
  }
  Memory open_command(const Memory& nonce) {
    nonce_ = nonce;
    return hex("8032") + Memory{kind_, 0, 16} + nonce_ + Memory{0};
  }
  LedgerView read_opening(const Memory& answer) {
    if (answer.size() < 16 + 16 + 8) throw std::runtime_error("too short");
    const Memory base = Memory{kind_} + nonce_ + cut_out(answer, 0, 16) + serial_;
    const Memory c = cut_out(answer, 16, answer.size() - 24);
    mac_ = cut_out(answer, answer.size() - 8, 8);
    k_mac_ = reference_kdf(key_, text("KTXM") + base);
    if (mac_ != cut_out(reference_cmac(k_mac_, Memory{1} + base + c), 0, 8)) throw std::runtime_error("opening's MAC");
    const Memory plain = reference_decrypt(reference_kdf(key_, text("KTXE") + base), c);
    const std::size_t fixed = 7 + 4 * counters_ + entry_octets_ + 8;
    if (plain.size() <= fixed) throw std::runtime_error("plain part");
    LedgerView out;
    out.ratified = (plain[0] & 1) != 0;
    out.credit = (plain[0] & 2) != 0;
    if ((plain[0] & ~3) != 0) throw std::runtime_error("flags");
    out.sequence = read_u32(&plain[1]);
    out.version = read_u16(&plain[5]);
    for (std::size_t i = 0; i < counters_; ++i) out.counters.push_back(read_u32(&plain[7 + 4 * i]));
    const std::size_t product = plain.size() - fixed;
    out.product = cut_out(plain, 7 + 4 * counters_, product);
    out.entry = cut_out(plain, 7 + 4 * counters_ + product, entry_octets_);
    out.code = cut_out(plain, plain.size() - 8, 8);
    return out;
  }
  Memory commit_command(const std::vector<u32>& counters, const Memory& entry) {
    order_ = be32(counters) + entry;
    mac_t_ = cut_out(reference_cmac(k_mac_, Memory{2} + mac_ + order_), 0, 8);
    return apdu("80340000", order_ + mac_t_, true);
  }
  // Checks the receipt; the settlement code.
  Memory read_receipt(const Memory& answer, u32 sequence) {
    if (answer.size() != 20) throw std::runtime_error("answer of COMMIT");
    if (cut_out(answer, 0, 4) != be32(sequence)) throw std::runtime_error("sequence");
    receipt_ = cut_out(answer, 12, 8);
    if (receipt_ != cut_out(reference_cmac(k_mac_, Memory{3} + mac_t_ + cut_out(answer, 0, 12)), 0, 8)) {
      throw std::runtime_error("receipt");
    }
    return cut_out(answer, 4, 8);
  }
  Memory ratify_command() const {
    return apdu("80360000", cut_out(reference_cmac(k_mac_, Memory{4} + receipt_), 0, 8));
  }
  // What the back office expects.
  Memory settlement_code(const Memory& key, u32 sequence) const { return code(key, sequence, order_); }
  Memory settlement_code(const Memory& key, u32 sequence, const std::vector<u32>& counters, const Memory& entry) const {
    return code(key, sequence, be32(counters) + entry);
  }

  const Memory& session_key() const { return k_mac_; }
  bool has_receipt() const { return !receipt_.empty(); }

 private:
  Memory code(const Memory& key, u32 sequence, const Memory& order) const {
    return cut_out(reference_cmac(key, text("KTXS") + Memory{kind_} + serial_ + be32(sequence) + order), 0, 8);
  }

  u8 kind_;
  Memory key_;
  Memory serial_;
  std::size_t counters_;
  std::size_t entry_octets_;
  Memory nonce_ = Memory(16, 0);
  u8 salt_ = 0;
  Memory k_mac_;
  Memory mac_;
  Memory order_;
  Memory mac_t_;
  Memory receipt_;
};

inline constexpr u8 kDebit = 1;
inline constexpr u8 kCredit = 2;
inline constexpr u8 kSettlement = 3;

// A ledger as tests make it, and the commands that write it on a blank card.
struct LedgerSample {
  std::size_t counters = 2;
  std::size_t entry = 16;
  std::size_t kept = 10;
  std::size_t key_octets = 16;
  Memory product = text("PRODUCT OF SAMPLE.");
  Memory serial = hex("5E51A10000000001");
  std::string rules = "8102 01FF 8202 01FF";  // contents of A1
  std::string nibbles = "0000FF";
  bool settlement = true;
  bool statement = false;

  Memory master(u8 kind) const { return Memory(key_octets, static_cast<u8>(0x10 * kind + 3)); }
  Memory key(u8 kind) const { return reference_kdf(master(kind), text("KTXD") + Memory{kind} + serial); }
  LedgerTerminal terminal(u8 kind) const { return {kind, key(kind), serial, counters, entry}; }
  Memory aid() const { return hex("F04B4152544103"); }

  static Memory create(const std::string& parameters) {
    const Memory fcp = hex(parameters);
    const Memory object = fcp.size() < 0x80 ? Memory{0x62, static_cast<u8>(fcp.size())} + fcp
                                            : Memory{0x62, 0x81, static_cast<u8>(fcp.size())} + fcp;
    return apdu("00E00000", object);
  }
  static std::string one(std::size_t n) { return to_hex(Memory{static_cast<u8>(n)}); }
  Memory create_key(const std::string& id, const std::string& usage, const std::string& more = "") const {
    return create("8102" + to_hex(Memory{static_cast<u8>(key_octets >> 5), static_cast<u8>(key_octets * 8)}) +
                  "820129 8302" + id + "8503 00" + usage + "00 8603 0F0FFF" + more);
  }
  Memory import_key(u8 version, const Memory& value) const { return apdu("00DA018A", Memory{version} + value); }
  Memory create_ledger() const {
    std::string a2 =
        "8001" + one(counters) + "8101" + one(entry) + "8201" + one(kept) + "830200E1 840200E2 8508" + to_hex(serial);
    if (settlement) a2 += "860200E3";
    if (statement) a2 += "870200E4";
    const Memory inner = hex(a2);
    const Memory a1 = hex(rules);
    return create("8001" + one(product.size()) + "820132 83020103 8603" + nibbles + "A1" + one(a1.size()) + to_hex(a1) +
                  "A2" + one(inner.size()) + to_hex(inner));
  }
  // In the DF that is current.
  std::vector<Memory> commands() const {
    std::vector<Memory> out;
    const auto add_key = [&](const std::string& id, u8 kind) {
      out.push_back(create_key(id, "80"));
      out.push_back(import_key(kind, key(kind)));
    };
    add_key("00E1", kDebit);
    add_key("00E2", kCredit);
    if (settlement) add_key("00E3", kSettlement);
    if (statement) {
      out.push_back(create("81020100 820122 830200E4 8502 0080 8603 FFFFFF"));
      out.push_back(hex("00460000"));
    }
    out.push_back(create_ledger());
    out.push_back(apdu("00D60000", product));
    return out;
  }
  Memory create_df() const {
    return create("820138 8302D103 84" + one(aid().size()) + to_hex(aid()) + "8603 FFFFFF A104 8102 01FF");
  }
  Memory select_df() const { return apdu("00A4040C", aid()); }
};

}  // namespace karta::os
