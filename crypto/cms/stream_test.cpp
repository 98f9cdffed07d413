// Streaming: what is read from a stream is what is read from memory, whatever the encoding; what is written around a
// content is DER.
#include "crypto/cms/stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/der.h"
#include "crypto/cms/attributes.h"
#include "crypto/cms/sign.h"
#include "crypto/testing.h"
#include "crypto/validation/validate.h"

namespace karta::crypto {
namespace {

using testing::must;
using testing::test_time;
using testing::TestCentre;

const TestCentre& centre() {
  static const TestCentre made;
  return made;
}
SoftwareSigner citizen() {
  return SoftwareSigner(testing::copy_of(testing::test_key(KeyType::p256)), centre().citizen.certificate_chain());
}

/// Gives out at most some octets at a time, so that every boundary is met.
class Trickle final : public ContentSource {
 public:
  Trickle(ByteView octets, std::size_t at_a_time) : whole_(octets), rest_(octets), at_a_time_(at_a_time) {}
  Result<std::size_t> read(MutableByteView buffer) override {
    const std::size_t count = std::min({buffer.size(), at_a_time_, rest_.size()});
    std::copy_n(rest_.begin(), count, buffer.begin());
    rest_ = rest_.subspan(count);
    return count;
  }
  bool rewind() override {
    rest_ = whole_;
    return true;
  }

 private:
  ByteView whole_, rest_;
  std::size_t at_a_time_;
};

Bytes text_of(std::size_t octets) {
  Bytes out(octets);
  for (std::size_t i = 0; i < octets; ++i) out[i] = static_cast<std::uint8_t>(i * 7 + i / 251);
  return out;
}

Bytes sign(ByteView text, CmsForm form) {
  SoftwareSigner signer = citizen();
  MemoryContent content(text);
  return must(sign_cms(signer, content, {.form = form, .signing_time = test_time()}));
}

Bytes envelop(const Bytes& detached, const Bytes& text) {
  MemoryContent content(text);
  Bytes out;
  const KnownContent known{text.size(), Hash::sha256, digest(Hash::sha256, text)};
  const Status written = write_enveloping(detached, content, known, [&](ByteView octets) -> Status {
    append(out, octets);
    return {};
  });
  EXPECT_TRUE(written) << written.error().message;
  return out;
}

/// The same signature in BER: every value around the content indefinite, the content in pieces on two levels.
Bytes in_pieces(const Bytes& detached, ByteView text, std::size_t piece) {
  const auto open = [](Tag tag) { return Bytes{static_cast<std::uint8_t>(tag), 0x80}; };
  const Bytes end = {0, 0};
  der::Reader outer(detached);
  der::Reader info = must(outer.enter(der::kSequence));
  const Tlv type = must(info.any());
  der::Reader wrapped = must(info.enter(der::context(0)));
  der::Reader body = must(wrapped.enter(der::kSequence));
  const Tlv version = must(body.any()), digests = must(body.any());
  der::Reader content_info = must(body.enter(der::kSequence));
  const Tlv content_type = must(content_info.any());
  Bytes after;
  while (!body.done()) append(after, must(body.any()).whole);

  Bytes out = concat({open(der::kSequence), type.whole, open(der::context(0)), open(der::kSequence), version.whole,
                      digests.whole, open(der::kSequence), content_type.whole, open(der::context(0)), open(0x24)});
  bool nested = false;
  while (!text.empty()) {
    const ByteView part = text.first(std::min(piece, text.size()));
    text = text.subspan(part.size());
    const Bytes octets = der::octet_string(part);
    append(out, nested ? concat({open(0x24), octets, end}) : octets);
    nested = !nested;
  }
  return concat({out, end, end, end, after, end, end, end});
}

Report verify(const SignedData& data, ContentSource* beside = nullptr) {
  return verify_cms(data, beside, {.anchors = {centre().root}, .intermediates = {}}, {.at = test_time()});
}

TEST(SignedDataStream, ReadsWhatMemoryReads) {
  for (const std::size_t octets : {0u, 1u, 127u, 128u, 65'535u, 300'000u, 1'200'000u}) {
    const Bytes text = text_of(octets);
    const Bytes detached = sign(text, CmsForm::detached);
    for (const Bytes& file : {envelop(detached, text), in_pieces(detached, text, 1000), detached}) {
      for (const std::size_t at_a_time : {std::size_t{1} << 30, std::size_t{4093}}) {
        Trickle source(file, at_a_time);
        const SignedDataStream stream = must(SignedDataStream::read(source));
        const SignedData in_memory = must(SignedData::parse(file));
        const SignedData& data = stream.data();
        EXPECT_EQ(data.has_content, in_memory.has_content);
        EXPECT_EQ(data.content_type, in_memory.content_type);
        EXPECT_EQ(data.content_offset, in_memory.content_offset);
        EXPECT_EQ(data.was_der, in_memory.was_der) << octets;
        ASSERT_EQ(data.signers.size(), 1u);
        EXPECT_EQ(data.signers[0].offset, in_memory.signers[0].offset);
        EXPECT_EQ(data.signers[0].signature, in_memory.signers[0].signature);
        ASSERT_EQ(data.certificates.size(), in_memory.certificates.size());
        EXPECT_EQ(data.certificates[0].offset, in_memory.certificates[0].offset);
        EXPECT_EQ(must(stream.detached()), detached);
        if (!data.has_content) continue;
        EXPECT_EQ(data.passed->digests.octets(), octets);
        EXPECT_EQ(*data.passed->digests.find(Hash::sha256), digest(Hash::sha256, text));
        EXPECT_TRUE(verify(data).passed());
        ASSERT_TRUE(source.rewind());
        EnvelopedContent inside = must(EnvelopedContent::open(source));
        EXPECT_EQ(must(read_all(inside, octets + 1)), text);
        ASSERT_TRUE(inside.rewind());
        EXPECT_EQ(must(read_all(inside, octets + 1)), text);
      }
    }
  }
}

TEST(SignedDataStream, AContentBesideAndInsideIsRefused) {
  const Bytes text = text_of(1000);
  const Bytes file = sign(text, CmsForm::enveloping);
  MemoryContent source(file), beside(text);
  const SignedDataStream stream = must(SignedDataStream::read(source));
  const Report report = verify(stream.data(), &beside);
  EXPECT_EQ(report.verdict, Verdict::total_failed);
  EXPECT_EQ(report.signatures.front().first_fault()->code, "content-twice");
}

TEST(SignedDataStream, AnotherContentIsNoticed) {
  Bytes file = sign(text_of(5000), CmsForm::enveloping);
  file[2000] ^= 1;
  MemoryContent source(file);
  const SignedDataStream stream = must(SignedDataStream::read(source));
  const Report report = verify(stream.data());
  EXPECT_EQ(report.signatures.front().first_fault()->code, "message-digest-mismatch");
}

// Cut anywhere, or with an octet changed anywhere around the content: the stream takes what memory takes.
TEST(SignedDataStream, IsAsStrictAsMemory) {
  const Bytes text = text_of(40);
  const Bytes detached = sign(text, CmsForm::detached);
  std::size_t refused = 0;
  for (const Bytes& file : {sign(text, CmsForm::enveloping), in_pieces(detached, text, 7)}) {
    const auto same = [&](const Bytes& octets, const std::string& what) {
      MemoryContent source(octets);
      const auto stream = SignedDataStream::read(source);
      const auto in_memory = SignedData::parse(octets);
      EXPECT_EQ(stream.has_value(), in_memory.has_value())
          << what << ": " << (stream ? in_memory.error().message : stream.error().message);
      if (stream && in_memory) {
        EXPECT_EQ(stream->data().was_der, in_memory->was_der) << what;
        EXPECT_EQ(stream->data().signers.size(), in_memory->signers.size()) << what;
      } else {
        ++refused;
      }
    };
    for (std::size_t i = 0; i < file.size(); ++i)
      same(Bytes(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(i)), "cut at " + std::to_string(i));
    for (std::size_t i = 0; i < file.size(); ++i) {
      for (const std::uint8_t bit : {0x01, 0x20, 0x80}) {
        Bytes changed = file;
        changed[i] ^= bit;
        same(changed, "octet " + std::to_string(i) + " changed by " + std::to_string(bit));
      }
    }
    same(concat({file, Bytes{0}}), "an octet more");
    same(concat({file, Bytes{0, 0}}), "two octets more");
  }
  EXPECT_GT(refused, 100u);
}

TEST(SignedDataStream, LimitsWhatStandsAround) {
  // An indefinite SEQUENCE in which encapContentInfo is followed by certificates without end.
  const Bytes text = text_of(10);
  const Bytes detached = sign(text, CmsForm::detached);
  Bytes file = in_pieces(detached, text, 10);
  file.resize(file.size() - 6);
  append(file, make_tlv(der::context(0), Bytes(SignedDataStream::kMostAfter, 0)));
  MemoryContent source(file);
  EXPECT_EQ(SignedDataStream::read(source).error().kind, ErrorKind::limit);
  MemoryContent none(detached);
  EXPECT_EQ(EnvelopedContent::open(none).error().kind, ErrorKind::not_found);
}

TEST(WriteEnveloping, IsDerAroundAContentOfEveryLengthOfLength) {
  for (const std::size_t octets : {0u, 1u, 127u, 128u, 255u, 256u, 64'000u, 65'535u, 65'536u, 70'000u, 16'777'216u}) {
    const Bytes text(octets, 'a');
    const Bytes detached = sign(text, CmsForm::detached);
    const Bytes file = envelop(detached, text);
    const SignedData data = must(SignedData::parse(file));
    EXPECT_TRUE(data.was_der) << octets;
    EXPECT_TRUE(verify(data).passed()) << octets;
  }
}

TEST(WriteEnveloping, NoticesAContentThatChanged) {
  const Bytes text = text_of(1000), other = text_of(1001);
  const Bytes detached = sign(text, CmsForm::detached);
  const auto write = [&](const Bytes& signature, const Bytes& content) {
    MemoryContent source(content);
    return write_enveloping(signature, source, {text.size(), Hash::sha256, digest(Hash::sha256, text)},
                            [](ByteView) -> Status { return {}; });
  };
  EXPECT_EQ(write(detached, other).error().kind, ErrorKind::invalid_signature);
  Bytes changed = text;
  changed[999] ^= 1;
  EXPECT_EQ(write(detached, changed).error().kind, ErrorKind::invalid_signature);
  EXPECT_EQ(write(envelop(detached, text), text).error().kind, ErrorKind::usage);
  MemoryContent source(text);
  const Status full = write_enveloping(detached, source, {text.size(), Hash::sha256, digest(Hash::sha256, text)},
                                       [](ByteView) -> Status { return fail(ErrorKind::io, "the disk is full"); });
  EXPECT_EQ(full.error().message, "the disk is full");
}

TEST(ContentDigests, AreMadeInOnePass) {
  const Bytes text = text_of(700'000);
  MemoryContent content(text);
  const ContentDigests made = must(ContentDigests::of(content, {{Hash::sha256, Hash::sha512, Hash::sha256}}));
  EXPECT_EQ(*made.find(Hash::sha256), digest(Hash::sha256, text));
  EXPECT_EQ(*made.find(Hash::sha512), digest(Hash::sha512, text));
  EXPECT_EQ(made.find(Hash::sha384), nullptr);
  EXPECT_EQ(made.function()(Hash::sha384).error().kind, ErrorKind::not_found);
  EXPECT_EQ(made.octets(), text.size());
}

/// A device that returns something else than a signature.
class Faulty final : public Signer {
 public:
  explicit Faulty(Signer& good) : good_(good) {}
  const PublicKey& public_key() const override { return good_.public_key(); }
  const std::vector<Bytes>& certificate_chain() const override { return good_.certificate_chain(); }
  const std::vector<AlgorithmId>& algorithms() const override { return good_.algorithms(); }
  Result<Bytes> sign(AlgorithmId algorithm, ByteView octets) override {
    Bytes out = TRY(good_.sign(algorithm, octets));
    if (faulty) out.back() ^= 1;
    return out;
  }
  bool faulty = true;

 private:
  Signer& good_;
};

TEST(CmsSigning, ADevicesFaultIsFoundBeforeAnythingIsWritten) {
  SoftwareSigner good = citizen();
  Faulty device(good);
  CmsSigning signing = must(CmsSigning::prepare(device, {}));
  const Bytes content_digest = digest(signing.hash(), text_of(3));
  EXPECT_EQ(signing.sign(content_digest, {}).error().kind, ErrorKind::internal);
  device.faulty = false;
  EXPECT_TRUE(signing.sign(content_digest, {}));
}

TEST(CmsSigning, SignsAgainAndAgain) {
  SoftwareSigner signer = citizen();
  CmsSigning signing = must(CmsSigning::prepare(signer, {}));
  for (std::size_t i = 0; i < 3; ++i) {
    const Bytes text = text_of(i);
    const Bytes one = must(signing.sign(digest(Hash::sha256, text), test_time() + std::chrono::seconds(i)));
    MemoryContent content(text);
    const Report report = verify(must(SignedData::parse(one)), &content);
    EXPECT_TRUE(report.passed());
    EXPECT_EQ(report.signatures.front().level, "CAdES-B-B");
    EXPECT_EQ(report.signatures.front().claimed_signing_time, test_time() + std::chrono::seconds(i));
  }
}

}  // namespace
}  // namespace karta::crypto
