// LibeacCard: a card on libeac (OpenPACE), an implementation of somebody else's, for tests and benchmarks only.
//
// libeac builds no APDUs and keeps no files: those are put together here. It checks signatures and dates of
// certificates, not roles: an accepting LibeacCard proves nothing about rules 24 to 29. It leaves out leading zero
// octets of a compressed point, which TR-03110-3 A.2.2.3 wants at full length: one session in thirty fails with it as
// it is.
#pragma once

#include <eac/ca.h>
#include <eac/eac.h>
#include <eac/objects.h>
#include <eac/pace.h>
#include <eac/ta.h>
#include <gtest/gtest.h>
#include <openssl/buffer.h>
#include <openssl/provider.h>

#include "card/domain_parameters.h"
#include "tests/eac/identity_card.h"

namespace karta::card {

using test::CentreForTerminals;

struct LibeacFree {
  void operator()(BUF_MEM* buffer) const { BUF_MEM_free(buffer); }
  void operator()(EAC_CTX* context) const { EAC_CTX_clear_free(context); }
  void operator()(PACE_SEC* password) const { PACE_SEC_clear_free(password); }
};
using Buffer = std::unique_ptr<BUF_MEM, LibeacFree>;

inline Buffer buffer(ByteView octets) {
  Buffer out(BUF_MEM_new());
  BUF_MEM_grow(out.get(), octets.size());
  std::copy(octets.begin(), octets.end(), reinterpret_cast<std::uint8_t*>(out->data));
  return out;
}

// Takes `from` over; empty where libeac failed.
inline Bytes octets(BUF_MEM* from) {
  const Buffer owned(from);
  if (!owned) return {};
  const auto* data = reinterpret_cast<const std::uint8_t*>(owned->data);
  return {data, data + owned->length};
}

inline Bytes padded(ByteView message) {
  Bytes out = to_bytes(message);
  crypto::pad_iso9797(out);
  return out;
}

inline Bytes value_of(ByteView in, Tag tag) {
  const auto found = find_tlv(in, tag);
  return found && *found ? to_bytes((*found)->value) : Bytes{};
}

struct LibeacParts {
  crypto::KeyType curve;
  std::size_t suite;       ///< row of the suites
  const int* ca_protocol;  ///< numbered when libeac begins
};

class LibeacCard {
 public:
  LibeacCard(CentreForTerminals& centre, const LibeacParts& parts)
      : parts_(parts), chip_key_(*crypto::PrivateKey::generate(parts.curve)), context_(EAC_CTX_new()) {
    const std::uint8_t domain = domain_parameters_of(parts.curve);
    SecurityInfos infos;
    infos.pace = {{&kPaceSuites[parts.suite], domain}};
    infos.terminal_authentication_2 = true;
    infos.chip_authentication = {{&kChipAuthenticationSuites[parts.suite], 0x41}};
    infos.chip_authentication_domains = {{domain, 0x41}};
    access_ = infos.encode();
    infos.chip_authentication_keys = {{domain, to_bytes(chip_key_.public_key().key_octets()), 0x41}};
    const std::map<unsigned, Bytes> files = {{4, data_group_4()}};
    infos.data_groups = hash_data_groups(files, crypto::Hash::sha256);
    security_ = *sign_card_security(infos, centre.document_signer);
    anchor_ = centre.store.anchors()->front().octets();
    EXPECT_EQ(EAC_CTX_init_ef_cardaccess(access_.data(), access_.size(), context()), 1)
        << "libeac reads our EF.CardAccess";
  }

  static Bytes data_group_4() {
    return *encode_data_group(*find_data_group(4u), std::string("Sample"), Bytes(kDataGroupSaltOctets, 0x5A));
  }

  Bytes process(ByteView command) {
    if ((command[0] & 0x0C) == 0) return answer_plain(handle(parse(command)));
    return answer_protected(command);
  }

  // Comp() of a point of the session's curve, as libeac gives it.
  Bytes compressed_by_libeac(ByteView point) { return octets(EAC_Comp(context(), EAC_ID_PACE, buffer(point).get())); }

  // At full length again, as the terminal signs it.
  Bytes compressed(ByteView point) {
    const Bytes trimmed = compressed_by_libeac(point);
    Bytes out(crypto::coordinate_octets(parts_.curve) - trimmed.size());
    append(out, trimmed);
    return out;
  }

 private:
  struct Parsed {
    std::uint8_t cla, ins, p1, p2;
    Bytes data;
  };
  struct Reply {
    Bytes data;
    std::uint16_t status = 0x9000;
  };
  EAC_CTX* context() { return context_.get(); }

  static Parsed parse(ByteView raw) {
    Parsed out{raw[0], raw[1], raw[2], raw[3], {}};
    if (raw.size() <= 5) return out;
    const bool extended = raw[4] == 0;
    const std::size_t length = extended ? load_be16(raw.subspan(5)) : raw[4], at = extended ? 7 : 5;
    if (raw.size() >= at + length) out.data = to_bytes(raw.subspan(at, length));
    return out;
  }

  static Bytes answer_plain(const Reply& reply) {
    Bytes out = reply.data;
    append_be16(out, reply.status);
    return out;
  }

  // ISO 7816-4 §10 with libeac's cryptography; the keys of the answer are those of the command.
  Bytes answer_protected(ByteView command) {
    const Parsed outer = parse(command);
    EAC_increment_ssc(context());
    const Bytes cipher = value_of(outer.data, 0x87), mac = value_of(outer.data, 0x8E);
    Bytes objects;
    if (!cipher.empty()) append(objects, make_tlv(0x87, cipher));
    if (const Bytes le = value_of(outer.data, 0x97); !le.empty()) append(objects, make_tlv(0x97, le));
    Bytes message = padded(command.first(4));
    if (!objects.empty()) append(message, padded(objects));
    if (octets(EAC_authenticate(context(), buffer(message).get())) != mac) return {0x69, 0x88};
    Parsed inner = outer;
    inner.cla = static_cast<std::uint8_t>(outer.cla & ~0x0C);
    inner.data.clear();
    if (!cipher.empty()) {
      const Bytes plain = octets(EAC_decrypt(context(), buffer(ByteView(cipher).subspan(1)).get()));
      const auto length = crypto::unpadded_iso9797(plain);
      if (!length) return {0x69, 0x88};
      inner.data = to_bytes(ByteView(plain).first(*length));
    }
    const Reply reply = handle(inner);
    EAC_increment_ssc(context());
    Bytes out;
    if (!reply.data.empty()) {
      const Bytes enciphered = octets(EAC_encrypt(context(), buffer(padded(reply.data)).get()));
      append(out, make_tlv(0x87, concat({Bytes{1}, enciphered})));
    }
    Bytes status;
    append_be16(status, reply.status);
    append(out, make_tlv(0x99, status));
    append(out, make_tlv(0x8E, octets(EAC_authenticate(context(), buffer(padded(out)).get()))));
    append_be16(out, reply.status);
    if (next_keys_ >= 0) {
      EAC_CTX_set_encryption_ctx(context(), next_keys_);
      EAC_reset_ssc(context());
      next_keys_ = -1;
    }
    return out;
  }

  Reply handle(const Parsed& command) {
    switch (command.ins) {
      case 0xA4:
        return {};
      case 0xB0:
        return read(command);
      case 0x22:
        return manage(command);
      case 0x84:
        return {octets(TA_STEP4_get_nonce(context()))};
      case 0x2A:
        return import(command);
      case 0x82:
        return verify_terminal(command);
      case 0x86:
        return general_authenticate(command);
      default:
        return {{}, 0x6D00};
    }
  }

  Reply read(const Parsed& command) {
    if ((command.p1 & 0x80) != 0) current_ = command.p1 & 0x1F;
    const Bytes* file = nullptr;
    const Bytes group = data_group_4();
    if (current_ == 0x1C) file = &access_;
    if (current_ == 0x1D && terminal_known_) file = &security_;
    if (current_ == 4 && chip_proved_) file = &group;
    if (file == nullptr) return {{}, 0x6982};
    const std::size_t offset = (command.p1 & 0x80) != 0 ? 0 : static_cast<std::size_t>(command.p1 << 8 | command.p2);
    if (offset >= file->size()) return {{}, 0x6B00};
    const std::size_t count = std::min<std::size_t>(200, file->size() - offset);
    return {to_bytes(ByteView(*file).subspan(offset, count))};
  }

  Reply manage(const Parsed& command) {
    if (command.p1 == 0xC1) {
      password_ = value_of(command.data, 0x83).at(0);
      step_ = 0;
    } else if (command.p1 == 0x81 && command.p2 == 0xA4) {
      terminal_compressed_ = value_of(command.data, 0x91);
      auxiliary_.clear();
      if (const auto found = find_tlv(command.data, 0x67); found && *found) auxiliary_ = to_bytes((*found)->whole);
    } else if (command.p1 == 0x81 && command.p2 == 0xB6) {
      if (!trusting_) {
        trusting_ = true;
        if (EAC_CTX_init_ca(context(), *parts_.ca_protocol, domain_parameters_of(parts_.curve)) != 1 ||
            EAC_CTX_init_ta(context(), nullptr, 0, anchor_.data(), anchor_.size()) != 1) {
          return {{}, 0x6A88};
        }
        // The certificates are of the test's own day.
        TA_disable_checks(context());
      }
    } else {
      const SecretBytes key = chip_key_.expose_secret_der();
      const ByteView der = key.expose_secret(), point = chip_key_.public_key().key_octets();
      if (CA_set_key(context(), der.data(), der.size(), point.data(), point.size()) != 1) return {{}, 0x6A88};
      step_ = 10;
    }
    return {};
  }

  Reply import(const Parsed& command) {
    const Bytes whole = make_tlv(0x7F21, command.data);
    return {{},
            TA_STEP2_import_certificate(context(), whole.data(), whole.size()) == 1 ? std::uint16_t{0x9000}
                                                                                    : std::uint16_t{0x6300}};
  }

  Reply verify_terminal(const Parsed& command) {
    const Bytes identity = compressed(own_point_);
    const int good =
        TA_STEP6_verify(context(), buffer(terminal_compressed_).get(), buffer(identity).get(),
                        auxiliary_.empty() ? nullptr : buffer(auxiliary_).get(), buffer(command.data).get());
    terminal_known_ = good == 1;
    return {{}, terminal_known_ ? std::uint16_t{0x9000} : std::uint16_t{0x6300}};
  }

  Reply general_authenticate(const Parsed& command) {
    const Bytes inner = value_of(command.data, 0x7C);
    const auto reply = [](Tag tag, Bytes value) { return Reply{make_tlv(0x7C, make_tlv(tag, value))}; };
    switch (step_++) {
      case 0: {
        const std::map<std::uint8_t, std::pair<enum s_type, std::string>> known = {
            {2, {PACE_CAN, "314159"}}, {3, {PACE_PIN, "135790"}}, {4, {PACE_PUK, "9081726354"}}};
        const auto& [type, digits] = known.at(password_);
        pace_secret_.reset(PACE_SEC_new(digits.data(), digits.size(), type));
        return reply(0x80, octets(PACE_STEP1_enc_nonce(context(), pace_secret_.get())));
      }
      case 1: {
        const Bytes ours = octets(PACE_STEP3A_generate_mapping_data(context()));
        if (PACE_STEP3A_map_generator(context(), buffer(value_of(inner, 0x81)).get()) != 1) return {{}, 0x6A80};
        return reply(0x82, ours);
      }
      case 2: {
        own_point_ = octets(PACE_STEP3B_generate_ephemeral_key(context()));
        their_point_ = value_of(inner, 0x83);
        if (PACE_STEP3B_compute_shared_secret(context(), buffer(their_point_).get()) != 1 ||
            PACE_STEP3C_derive_keys(context()) != 1) {
          return {{}, 0x6A80};
        }
        return reply(0x84, own_point_);
      }
      case 3: {
        if (PACE_STEP3D_verify_authentication_token(context(), buffer(value_of(inner, 0x85)).get()) != 1) {
          return {{}, password_ == 3 ? std::uint16_t{0x63C2} : std::uint16_t{0x6300}};
        }
        const Bytes token = octets(PACE_STEP3D_compute_authentication_token(context(), buffer(their_point_).get()));
        EAC_CTX_set_encryption_ctx(context(), EAC_ID_PACE);
        EAC_reset_ssc(context());
        const auto anchor = CvCertificate::parse(anchor_);
        return {make_tlv(0x7C, {make_tlv(0x86, token), make_tlv(0x87, as_bytes(anchor->holder()))})};
      }
      case 10: {
        const Bytes point = value_of(inner, 0x80);
        // libeac compares with its own form.
        if (compressed(point) != terminal_compressed_ ||
            CA_STEP3_check_pcd_pubkey(context(), buffer(compressed_by_libeac(point)).get(), buffer(point).get()) != 1 ||
            CA_STEP4_compute_shared_secret(context(), buffer(point).get()) != 1) {
          return {{}, 0x6300};
        }
        BUF_MEM *nonce = nullptr, *token = nullptr;
        if (CA_STEP5_derive_keys(context(), buffer(point).get(), &nonce, &token) != 1) return {{}, 0x6300};
        next_keys_ = EAC_ID_CA;
        chip_proved_ = true;
        return {make_tlv(0x7C, {make_tlv(0x81, octets(nonce)), make_tlv(0x82, octets(token))})};
      }
      default:
        return {{}, 0x6985};
    }
  }

  LibeacParts parts_;
  crypto::PrivateKey chip_key_;
  std::unique_ptr<EAC_CTX, LibeacFree> context_;
  std::unique_ptr<PACE_SEC, LibeacFree> pace_secret_;
  Bytes access_, security_, anchor_, own_point_, their_point_, terminal_compressed_, auxiliary_;
  std::uint8_t password_ = 0;
  unsigned step_ = 0, current_ = 0;
  int next_keys_ = -1;
  bool trusting_ = false, terminal_known_ = false, chip_proved_ = false;
};

}  // namespace karta::card
