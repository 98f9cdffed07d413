// The check of a kept exchange where one thing at a time is not as it was: documents of the same id, of the same
// departments and rightly signed, that do not belong together.
#include "identity/requests/exchange.h"

#include <gtest/gtest.h>

#include "crypto/testing.h"

namespace karta::identity {
namespace {

using crypto::testing::must;

class Exchange : public testing::Test {
 protected:
  crypto::SoftwareSigner holder() {
    auto key = must(crypto::PrivateKey::generate(crypto::KeyType::p256));
    const auto certificate = centre_.issue(key.public_key());
    return crypto::SoftwareSigner(std::move(key), {certificate.der(), centre_.ca.der(), centre_.root.der()});
  }
  template <class Document>
  Bytes by(crypto::SoftwareSigner& signer, const Document& document) {
    return must(sign_document(signer, write_document(document), now_));
  }
  static DepartmentRequest asked(const std::string& purpose) {
    DepartmentRequest out;
    out.id = std::string(32, 'a');
    out.from = "fund";
    out.to = "tax";
    out.made = crypto::testing::test_time();
    out.legal_basis = "Act 7";
    out.purpose = purpose;
    out.case_id = "1";
    out.snils = must(Snils::parse("001-001-999 65"));
    out.subjects = {"income"};
    return out;
  }
  DepartmentReceipt receipt(ByteView request, ByteView answer = {}) const {
    DepartmentReceipt out;
    out.request = std::string(32, 'a');
    out.request_hash = hash_of_document(request);
    if (!answer.empty()) out.answer_hash = hash_of_document(answer);
    out.from = "fund";
    out.to = "tax";
    out.received = now_;
    out.deadline = now_ + std::chrono::hours(24);
    return out;
  }
  DepartmentAnswer answer(ByteView request) const {
    DepartmentAnswer out;
    out.request = std::string(32, 'a');
    out.request_hash = hash_of_document(request);
    out.from = "tax";
    out.to = "fund";
    out.made = now_;
    out.data = R"({"income":1})";
    return out;
  }
  /// The checks that do not hold, in their order.
  std::string failing(const ExchangeFiles& files) const {
    crypto::TrustMaterial trust;
    trust.anchors = {centre_.root};
    std::string out;
    const ExchangeReport report = check_exchange(files, trust, nullptr, now_);
    for (const ExchangeCheck& one : report.checks) out += one.holds ? "" : one.name + " ";
    EXPECT_EQ(report.passed(), out.empty());
    return out;
  }

  const Time now_ = crypto::testing::test_time();
  crypto::testing::TestCentre centre_;
  crypto::SoftwareSigner fund_ = holder(), tax_ = holder(), system_ = holder(), other_system_ = holder();
  const Bytes request_ = by(fund_, asked("reckon a pension")), answer_ = by(tax_, answer(request_));
  const Bytes receipt_ = by(system_, receipt(request_)), answer_receipt_ = by(system_, receipt(request_, answer_));
};

TEST_F(Exchange, HoldsAsItWasKept) { EXPECT_EQ(failing({request_, receipt_, answer_, answer_receipt_}), ""); }

TEST_F(Exchange, OtherOctetsUnderTheSameIdAreAnotherRequest) {
  const Bytes other = by(fund_, asked("something else"));
  EXPECT_EQ(failing({other, receipt_, {}, {}}), "receipt-belongs ");
  EXPECT_EQ(failing({other, by(system_, receipt(other)), answer_, by(system_, receipt(other, answer_))}),
            "answer-belongs ");
  EXPECT_EQ(failing({other, receipt_, answer_, answer_receipt_}),
            "receipt-belongs answer-belongs answer-receipt-belongs ");
}

TEST_F(Exchange, TheDeadlineMustStay) {
  DepartmentReceipt later = receipt(request_, answer_);
  later.deadline += std::chrono::hours(1);
  EXPECT_EQ(failing({request_, receipt_, answer_, by(system_, later)}), "deadline-unchanged ");
}

TEST_F(Exchange, NoDepartmentReceiptsForItself) {
  EXPECT_EQ(failing({request_, by(fund_, receipt(request_)), {}, {}}), "receipt-signer ");
  EXPECT_EQ(failing({request_, {}, answer_, by(fund_, receipt(request_, answer_))}), "receipt-signer ");
  // The answerer's own receipt makes him the identity system, too.
  EXPECT_EQ(failing({request_, {}, answer_, by(tax_, receipt(request_, answer_))}), "answer-signer receipt-signer ");
}

TEST_F(Exchange, BothReceiptsAreByOneCertificate) {
  EXPECT_EQ(failing({request_, receipt_, answer_, by(other_system_, receipt(request_, answer_))}), "receipt-signer ");
}

}  // namespace
}  // namespace karta::identity
