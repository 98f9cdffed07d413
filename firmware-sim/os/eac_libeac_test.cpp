// libeac, an implementation of somebody else's, as terminal: PACE with CAN, PIN and PUK, terminal authentication, chip
// authentication and protected commands against our card. It builds no APDUs; those are put together here.
#include <eac/ca.h>
#include <eac/eac.h>
#include <eac/objects.h>
#include <eac/pace.h>
#include <eac/ta.h>
#include <gtest/gtest.h>
#include <openssl/buffer.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/provider.h>

#include "firmware-sim/os/test_eac.h"

namespace karta::os {
namespace {

struct Free {
  void operator()(BUF_MEM* buffer) const { BUF_MEM_free(buffer); }
  void operator()(EAC_CTX* context) const { EAC_CTX_clear_free(context); }
  void operator()(PACE_SEC* secret) const { PACE_SEC_clear_free(secret); }
};
using Buffer = std::unique_ptr<BUF_MEM, Free>;

Buffer buffer(const Memory& octets) {
  Buffer out(BUF_MEM_new());
  BUF_MEM_grow(out.get(), octets.size());
  std::copy(octets.begin(), octets.end(), reinterpret_cast<u8*>(out->data));
  return out;
}

Memory octets(BUF_MEM* from) {
  if (from == nullptr) throw std::runtime_error("libeac has no answer");
  const Buffer owned(from);
  const auto* data = reinterpret_cast<const u8*>(from->data);
  return {data, data + from->length};
}

// The private key as libeac reads it: PKCS #8.
Memory private_key(const KeyPair& key, const char* group) {
  const std::unique_ptr<OSSL_PARAM_BLD, decltype(&OSSL_PARAM_BLD_free)> builder(OSSL_PARAM_BLD_new(),
                                                                                OSSL_PARAM_BLD_free);
  const std::unique_ptr<BIGNUM, decltype(&BN_free)> scalar(
      BN_bin2bn(key.scalar.data(), static_cast<int>(key.scalar.size()), nullptr), BN_free);
  OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, group, 0);
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_PRIV_KEY, scalar.get());
  OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, key.point.data(), key.point.size());
  const std::unique_ptr<OSSL_PARAM, decltype(&OSSL_PARAM_free)> parameters(OSSL_PARAM_BLD_to_param(builder.get()),
                                                                           OSSL_PARAM_free);
  const std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)> context(
      EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr), EVP_PKEY_CTX_free);
  EVP_PKEY* made = nullptr;
  EVP_PKEY_fromdata_init(context.get());
  EVP_PKEY_fromdata(context.get(), &made, EVP_PKEY_KEYPAIR, parameters.get());
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> owned(made, EVP_PKEY_free);
  u8* der = nullptr;
  const int size = i2d_PrivateKey(made, &der);
  if (size <= 0) throw std::runtime_error("private key");
  Memory out(der, der + size);
  OPENSSL_free(der);
  return out;
}

class LibeacTerminal {
 public:
  explicit LibeacTerminal(EacCard& card) : card_(card), context_(EAC_CTX_new()) {}

  EAC_CTX* context() { return context_.get(); }

  // EF.CardAccess as the card shows it, then PACE. The first status word that is not 9000; 0 where libeac gives up.
  u16 open(enum s_type type, u8 reference, const std::string& password, const Memory& chat_object = {}) {
    card_.plain("00A4020C02011C");
    const Memory access = card_.plain("00B00000000000").data;
    // Of several it takes one of its own choice, and tells nobody which: it gets the first alone.
    const Memory first = tlv(0x31, tlv(0x30, *find_tlv(*find_tlv(access, 0x31), 0x30)));
    if (EAC_CTX_init_ef_cardaccess(first.data(), first.size(), context()) != 1) return 0;
    const std::unique_ptr<PACE_SEC, Free> secret(PACE_SEC_new(password.data(), password.size(), type));
    PaceTerminal command;  // for the bytes of MSE SET only
    command.reference = reference;
    command.chat_object = chat_object;
    if (const u16 sw = card_.plain(command.set_command()).sw; sw != 0x9000) return sw;
    Answer answer = card_.plain(PaceTerminal::step({}));
    if (answer.sw != 0x9000) return answer.sw;
    if (PACE_STEP2_dec_nonce(context(), secret.get(), buffer(PaceTerminal::inner(answer, 0x80)).get()) != 1) return 0;
    const Memory mapping = octets(PACE_STEP3A_generate_mapping_data(context()));
    answer = card_.plain(PaceTerminal::step(tlv(0x81, mapping)));
    if (answer.sw != 0x9000) return answer.sw;
    if (PACE_STEP3A_map_generator(context(), buffer(PaceTerminal::inner(answer, 0x82)).get()) != 1) return 0;
    const Memory ephemeral = octets(PACE_STEP3B_generate_ephemeral_key(context()));
    answer = card_.plain(PaceTerminal::step(tlv(0x83, ephemeral)));
    if (answer.sw != 0x9000) return answer.sw;
    card_ephemeral_ = PaceTerminal::inner(answer, 0x84);
    if (PACE_STEP3B_compute_shared_secret(context(), buffer(card_ephemeral_).get()) != 1 ||
        PACE_STEP3C_derive_keys(context()) != 1) {
      return 0;
    }
    const Memory token = octets(PACE_STEP3D_compute_authentication_token(context(), buffer(card_ephemeral_).get()));
    answer = card_.plain(PaceTerminal::step(tlv(0x85, token), true));
    if (answer.sw != 0x9000) return answer.sw;
    if (PACE_STEP3D_verify_authentication_token(context(), buffer(PaceTerminal::inner(answer, 0x86)).get()) != 1) {
      return 0;
    }
    use(EAC_ID_PACE);
    return answer.sw;
  }

  u16 authenticate(const Chain& chain, const Memory& chip_key) {
    const Exchange exchange = [this](const Memory& command) { return run(command); };
    if (const u16 sw = EacTerminal::present(exchange, chain.verifier); sw != 0x9000) return sw;
    if (const u16 sw = EacTerminal::present(exchange, chain.terminal); sw != 0x9000) return sw;
    const Memory key = private_key(chain.terminal.text.key, "brainpoolP256r1");
    // With OpenSSL 3 libeac finds no domain parameters in a private key: it gets its own key's certificate with them.
    const Memory certificate = tlv(0x7F21, self_certify(chain.terminal.text).bytes);
    if (EAC_CTX_init_ca(context(), NID_id_CA_ECDH_AES_CBC_CMAC_128, 13) != 1 ||
        EAC_CTX_init_ta(context(), key.data(), key.size(), certificate.data(), certificate.size()) != 1) {
      return 0;
    }
    const Memory compressed = octets(TA_STEP3_generate_ephemeral_key(context()));
    const Memory announcement =
        tlv(0x80, protocol_oid(2, 3)) + tlv(0x83, text(chain.terminal.text.holder)) + tlv(0x91, compressed);
    if (const u16 sw = run(apdu("002281A4", announcement)).sw; sw != 0x9000) return sw;
    const Answer challenge = run(hex("0084000008"));
    if (TA_STEP4_set_nonce(context(), buffer(challenge.data).get()) != 1) return 0;
    const Memory identity = octets(EAC_Comp(context(), EAC_ID_PACE, buffer(card_ephemeral_).get()));
    const Memory signature =
        octets(TA_STEP5_sign(context(), buffer(compressed).get(), buffer(identity).get(), nullptr));
    if (const u16 sw = run(apdu("00820000", signature)).sw; sw != 0x9000) return sw;

    const Memory set = tlv(0x80, protocol_oid(3, 2)) + hex("840141");
    if (const u16 sw = run(apdu("002241A4", set)).sw; sw != 0x9000) return sw;
    const Memory ephemeral = octets(CA_STEP2_get_eph_pubkey(context()));
    const Answer answer = run(apdu("00860000", tlv(0x7C, tlv(0x80, ephemeral)), true));
    if (answer.sw != 0x9000) return answer.sw;
    if (CA_STEP4_compute_shared_secret(context(), buffer(chip_key).get()) != 1 ||
        CA_STEP6_derive_keys(context(), buffer(PaceTerminal::inner(answer, 0x81)).get(),
                             buffer(PaceTerminal::inner(answer, 0x82)).get()) != 1) {
      return 0;
    }
    use(EAC_ID_CA);
    return 0x9000;
  }

  // A protected command and its answer, opened.
  Answer run(const Memory& command) {
    PlainCommand plain = take_apart(command);
    plain.header[0] = static_cast<u8>(plain.header[0] | 0x0C);
    EAC_increment_ssc(context());
    Memory objects;
    if (!plain.data.empty()) {
      const Memory cipher = octets(EAC_encrypt(context(), buffer(padded(plain.data)).get()));
      objects = tlv(0x87, Memory{1} + cipher);
    }
    if (!plain.le.empty()) objects = objects + tlv(0x97, plain.le);
    const Memory mac = authenticate(padded(plain.header) + (objects.empty() ? Memory{} : padded(objects)));
    const Memory body = objects + tlv(0x8E, mac);
    const bool extended = plain.extended || body.size() > 255;
    const Memory wire = plain.header + with_length(body, extended) + Memory(extended ? 2 : 1, 0);
    return open_answer(send(*card_.card, wire));
  }

 private:
  void use(int id) {
    if (EAC_CTX_set_encryption_ctx(context(), id) != 1 || EAC_reset_ssc(context()) != 1) {
      throw std::runtime_error("libeac's keys");
    }
  }
  Memory authenticate(const Memory& message) { return octets(EAC_authenticate(context(), buffer(message).get())); }
  Answer open_answer(const Answer& answer) {
    EAC_increment_ssc(context());
    if (answer.data.size() < 14) return answer;
    const Memory objects = slice(answer.data, 0, answer.data.size() - 10);
    if (authenticate(padded(objects)) != slice(answer.data, answer.data.size() - 8, 8)) {
      throw std::runtime_error("libeac refuses the card's checksum");
    }
    Answer out{.sw = answer.sw, .data = {}};
    if (const auto cipher = find_tlv(objects, 0x87)) {
      out.data = unpadded(octets(EAC_decrypt(context(), buffer(slice(*cipher, 1, cipher->size() - 1)).get())));
    }
    return out;
  }

  EacCard& card_;
  std::unique_ptr<EAC_CTX, Free> context_;
  Memory card_ephemeral_;
};

class LibeacTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    OSSL_PROVIDER_load(nullptr, "default");  // libeac loads the legacy one, which alone would hide it
    EAC_init();
  }
  static void TearDownTestSuite() { EAC_cleanup(); }
  static const Chain& chain() {
    static const Chain made = Chain::make();
    return made;
  }
  EacCard card{chain()};
};

TEST_F(LibeacTest, PaceWithCanPinAndPuk) {
  struct Row {
    enum s_type type;
    u8 reference;
    const char* password;
  };
  for (const Row& row : {Row{PACE_CAN, 2, "123456"}, Row{PACE_PIN, 3, "123456"}, Row{PACE_PUK, 4, "9081726354"}}) {
    card.restart();
    LibeacTerminal terminal(card);
    ASSERT_EQ(terminal.open(row.type, row.reference, row.password), 0x9000) << int{row.reference};
    EXPECT_EQ(terminal.run(apdu("00A4040C", hex(EacCard::kIdentityAid))).sw, 0x9000);
    EXPECT_EQ(terminal.run(hex("00B0810000")).sw, 0x6982);
    const Answer access = terminal.run(hex("00B09C0000"));
    EXPECT_EQ(access.sw, 0x6A82);  // short identifiers count in the current DF
    EXPECT_EQ(terminal.run(hex("00A4080C02011C")).sw, 0x9000);
    EXPECT_EQ(terminal.run(hex("00B0000010")).data.size(), 16U);
  }
}

TEST_F(LibeacTest, WrongPasswordsOpenNothing) {
  LibeacTerminal terminal(card);
  EXPECT_EQ(terminal.open(PACE_CAN, 2, "654321"), 0x6300);
  card.restart();
  LibeacTerminal second(card);
  EXPECT_EQ(second.open(PACE_PIN, 3, "654321"), 0x63C2);
}

TEST_F(LibeacTest, TerminalAndChipAuthenticationThenReading) {
  LibeacTerminal terminal(card);
  ASSERT_EQ(terminal.open(PACE_PIN, 3, "123456", chat(kAuthenticationTerminal, 0, kAllRights)), 0x9000);
  ASSERT_EQ(terminal.authenticate(chain(), card.chip_key), 0x9000);
  EXPECT_EQ(terminal.run(apdu("00A4040C", hex(EacCard::kIdentityAid))).sw, 0x9000);
  const Answer group = terminal.run(hex("00B0810000"));
  EXPECT_EQ(group.sw, 0x9000);
  EXPECT_EQ(group.data, Memory(20, 0xD1));
  EXPECT_EQ(terminal.run(hex("00A4020C020111")).sw, 0x9000);
  EXPECT_EQ(terminal.run(apdu("00D60000", Memory(20, 0x77))).sw, 0x9000);
  EXPECT_EQ(terminal.run(hex("00B0000000")).data, Memory(20, 0x77));
}

}  // namespace
}  // namespace karta::os
