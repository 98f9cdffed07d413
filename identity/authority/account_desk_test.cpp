// Accounts for one-time codes made at a counter: what is judged before one is made, what stands in the registry after.
#include "identity/authority/account_desk.h"

#include <gmock/gmock.h>

#include "identity/authority/authority_testing.h"
#include "identity/authority/documents.h"
#include "identity/login/totp.h"
#include "identity/registry_testing.h"

namespace karta::identity {
namespace {

using crypto::testing::must;
using testing::HasSubstr;

const DeskCaller kWindow{"00000000000000c1", "window 1", "counter"};

class AccountDeskTest : public RegistryFixture {
 protected:
  void SetUp() override {
    RegistryFixture::SetUp();
    registry_.emplace(create());
    citizen_ = must(registry_->add_citizen(made_up_citizen(1), cause_));
    card_ = must(registry_->order_card({.citizen = citizen_, .profile = "citizen"}, cause_)).id;
    must(registry_->produce_card(card_, "00c0ffee", clock_.now() + std::chrono::days(365), cause_));
    must(registry_->change_card_state(card_, CardState::active, cause_));
    port_.card = format_id(card_);
    database_.emplace(must(service::Database::open(url())));
    open_desk({.secret_file = {}, .issuer = "id.example", .mail = true});
  }
  void open_desk(const CounterAccountsConfig& config) {
    desk_ = must(AccountDesk::open(config, url(), secret_, port_, *registry_, clock_));
  }
  /// A session of the counter's with the desk.
  std::string session(const DeskCaller& caller = kWindow) {
    std::string out;
    port_.open(caller, R"({"deed":"show"})", [&](Result<DeskStep> step) { out = must(std::move(step)).session; });
    return out;
  }
  AccountOrder order(const std::string& login = "Sample.Person", const std::string& mail = "") {
    AccountOrder out{session(), login, mail.empty() ? "app" : "mail"};
    out.mail = mail;
    out.agreed = true;
    out.person = "clerk 3";
    out.reason = "application 17";
    return out;
  }
  ErrorKind refused(const AccountOrder& order, const DeskCaller& caller = kWindow) {
    const auto made = desk_->make(caller, order);
    EXPECT_FALSE(made);
    return made ? ErrorKind::internal : made.error().kind;
  }
  Accounts accounts() { return Accounts(*database_, secret_, clock_, random_); }

  LoginSecret secret_ = must(LoginSecret::create(SecretBytes::copy_of(kLoginSecret)));
  FakeDeskPort port_;
  std::optional<Registry> registry_;
  std::optional<service::Database> database_;
  CitizenId citizen_{};
  CardId card_{};
  std::unique_ptr<AccountDesk> desk_;
};

TEST_F(AccountDeskTest, AnAppIsToldItsSecretAndTheCitizenWhoDidIt) {
  const MadeAccount made = must(desk_->make(kWindow, order()));
  EXPECT_EQ(made.login, "sample.person");
  EXPECT_EQ(made.way, "app");
  const Account account = std::move(*must(accounts().of(citizen_)));
  EXPECT_EQ(account.login, "sample.person");
  const SecretBytes letters = to_base32(account.secret);
  EXPECT_EQ(made.otpauth.expose_secret_text(),
            "otpauth://totp/id.example:sample.person?secret=" + std::string(letters.expose_secret_text()) +
                "&issuer=id.example&algorithm=SHA1&digits=6&period=30");
  const Event event = must(registry_->events_of(citizen_)).front();
  EXPECT_EQ(event.kind, "account-enrolled");
  EXPECT_EQ(event.actor, "counter:00000000000000c1/clerk 3");
  EXPECT_EQ(event.reason, "application 17");
  EXPECT_EQ(event.card, card_) << "the card that was shown";
  EXPECT_EQ(event.to, "app");

  // Asked once more, as after a lost answer: another secret, the one before is worth nothing.
  const MadeAccount again = must(desk_->make(kWindow, order()));
  EXPECT_FALSE(again.otpauth.equals(made.otpauth.expose_secret()));
}

TEST_F(AccountDeskTest, CodesByMailNeedAnAddressAndSomebodyWhoSends) {
  const MadeAccount made = must(desk_->make(kWindow, order("by.mail", "sample@mail.example")));
  EXPECT_TRUE(made.otpauth.empty());
  EXPECT_EQ(must(accounts().of(citizen_))->secret.expose_secret_text(), "sample@mail.example");
  for (const std::string_view address : {"nobody", "a@b\r\nBcc: c@d", "a b@c"}) {
    EXPECT_EQ(refused(order("by.mail", std::string(address))), ErrorKind::usage) << address;
  }
  AccountOrder none = order();
  none.way = "mail";
  EXPECT_EQ(refused(none), ErrorKind::usage);
  AccountOrder both = order();
  both.mail = "sample@mail.example";
  EXPECT_EQ(refused(both), ErrorKind::usage) << "an app needs no address";
  open_desk({.secret_file = {}, .issuer = "id.example", .mail = false});
  EXPECT_EQ(refused(order("by.mail", "sample@mail.example")), ErrorKind::configuration);
}

TEST_F(AccountDeskTest, NothingIsDoneWithoutTheCitizenHisCardAndThisCounter) {
  AccountOrder silent = order();
  silent.agreed = false;
  EXPECT_EQ(refused(silent), ErrorKind::usage);
  const DeskCaller other{"00000000000000c2", "window 2", "counter"};
  EXPECT_EQ(refused(order(), other), ErrorKind::not_found) << "shown at another counter";
  AccountOrder invented = order();
  invented.session = "session-99";
  EXPECT_EQ(refused(invented), ErrorKind::not_found);
  EXPECT_EQ(refused(order("no")), ErrorKind::usage);
  AccountOrder letter = order();
  letter.way = "letter";
  EXPECT_EQ(refused(letter), ErrorKind::usage);
  port_.card.clear();
  EXPECT_EQ(refused(order()), ErrorKind::not_permitted);
  port_.card = format_id(card_);
  must(registry_->change_card_state(card_, CardState::suspended, cause_));
  EXPECT_EQ(refused(order()), ErrorKind::not_permitted) << "stopped since it was shown";
  EXPECT_FALSE(desk_->remove(kWindow, {session(), true, "", ""}));
  EXPECT_FALSE(must(accounts().of(citizen_)));
  for (const Event& event : must(registry_->events_of(citizen_))) EXPECT_NE(event.kind, "account-enrolled");
}

TEST_F(AccountDeskTest, ACardPastItsEndSpeaksForNobody) {
  clock_.advance(std::chrono::days(365) - std::chrono::seconds(1));
  EXPECT_TRUE(desk_->make(kWindow, order()));
  clock_.advance(std::chrono::seconds(1));
  ASSERT_EQ(must(registry_->card(card_)).state, CardState::active) << "nobody has noticed yet";
  EXPECT_EQ(refused(order()), ErrorKind::not_permitted);
  EXPECT_EQ(desk_->remove(kWindow, {session(), true, "", ""}).error().kind, ErrorKind::not_permitted);
  EXPECT_TRUE(must(accounts().of(citizen_))) << "as it was";
}

TEST_F(AccountDeskTest, ACardIsShownForOneOrder) {
  const AccountOrder first = order("by.mail", "sample@mail.example");
  must(desk_->make(kWindow, first));
  AccountOrder same = first;
  same.login = "By.Mail";
  same.person = "clerk 4";
  same.reason.clear();
  EXPECT_TRUE(desk_->make(kWindow, same)) << "a lost answer is asked for again";
  AccountOrder address = first, name = first, way = first;
  address.mail = "another@mail.example";
  name.login = "by.mail.2";
  way.way = "app";
  way.mail.clear();
  for (const AccountOrder& other : {address, name, way}) EXPECT_EQ(refused(other), ErrorKind::not_permitted);
  EXPECT_EQ(desk_->remove(kWindow, {first.session, true, "", ""}).error().kind, ErrorKind::not_permitted);
  EXPECT_EQ(must(accounts().of(citizen_))->secret.expose_secret_text(), "sample@mail.example");

  const std::string again = session();
  EXPECT_TRUE(must(desk_->remove(kWindow, {again, true, "", ""})));
  EXPECT_FALSE(must(desk_->remove(kWindow, {again, true, "clerk 4", "once more"})));
  AccountOrder after = first;
  after.session = again;
  EXPECT_EQ(refused(after), ErrorKind::not_permitted) << "it was shown for the account's end";
}

TEST_F(AccountDeskTest, ANameIsOneCitizensAlone) {
  const CitizenId other = must(registry_->add_citizen(made_up_citizen(2), cause_));
  must(accounts().enrol(other, "taken", {}, cause_));
  EXPECT_EQ(refused(order("Taken")), ErrorKind::already_exists);
  EXPECT_TRUE(desk_->make(kWindow, order("free")));
}

TEST_F(AccountDeskTest, AnAccountEndsWhenTheCitizenAsksForIt) {
  must(desk_->make(kWindow, order()));
  EXPECT_EQ(desk_->remove(kWindow, {session(), false, "", ""}).error().kind, ErrorKind::usage);
  EXPECT_TRUE(must(desk_->remove(kWindow, {session(), true, "", ""})));
  EXPECT_FALSE(must(accounts().of(citizen_)));
  const Event event = must(registry_->events_of(citizen_)).front();
  EXPECT_EQ(event.kind, "account-removed");
  EXPECT_EQ(event.actor, "counter:00000000000000c1");
  EXPECT_EQ(event.reason, "asked for at window 1");
  EXPECT_EQ(event.card, card_);
  EXPECT_FALSE(must(desk_->remove(kWindow, {session(), true, "", ""}))) << "there is none any more";
}

TEST(AccountDocuments, AreReadAsTheyWereWritten) {
  AccountOrder order{"session", "sample", "mail", "sample@mail.example", true, "clerk \"3\"", "why"};
  const AccountOrder read = must(read_account_order(must(parse_document(account_order_document(order)))));
  EXPECT_EQ(read.session, order.session);
  EXPECT_EQ(read.login, order.login);
  EXPECT_EQ(read.way, order.way);
  EXPECT_EQ(read.mail, order.mail);
  EXPECT_TRUE(read.agreed);
  EXPECT_EQ(read.person, order.person);
  EXPECT_EQ(read.reason, order.reason);
  const AccountRemoval removal =
      must(read_account_removal(must(parse_document(account_removal_document({"session", false, "", ""})))));
  EXPECT_FALSE(removal.agreed);
  EXPECT_TRUE(removal.person.empty());
  for (const std::string_view secret : {"", "otpauth://totp/a:b?secret=AAAA&issuer=a"}) {
    const SecretBytes text = made_account_document({"sample", "app", SecretBytes::copy_of(secret)});
    Json document = must(parse_document(text.expose_secret_text()));
    EXPECT_EQ(must(read_made_account(document)).otpauth.expose_secret_text(), secret);
    EXPECT_THAT(to_text(document), testing::Not(HasSubstr("AAAA"))) << "wiped where it was read";
  }
  EXPECT_TRUE(must(read_account_removed(must(parse_document(account_removed_document(true))))));

  const Json good = must(parse_document(account_order_document(order)));
  const auto refuses = [&](const char* key, const Json& value) {
    Json wrong = good;
    wrong[key] = value;
    EXPECT_EQ(read_account_order(wrong).error().kind, ErrorKind::malformed) << wrong;
  };
  refuses("schema", "karta.desk.account.order/2");
  refuses("agreed", "yes");
  refuses("login", 7);
  refuses("mail", nullptr);
  refuses("operator", std::string(81, 'x'));
  refuses("reason", std::string(121, 'x'));
  // Words may be as long in Russian as in English.
  std::string person, reason;
  for (std::size_t i = 0; i < kPersonCharacters; ++i) person += "ж";
  for (std::size_t i = 0; i < kReasonCharacters; ++i) reason += "щ";
  Json longest = good;
  longest["operator"] = person;
  longest["reason"] = reason;
  EXPECT_EQ(must(read_account_order(longest)).person, person);
  refuses("operator", person + "ж");
  refuses("reason", reason + "щ");
  refuses("citizen", "another");
  Json less = good;
  less.erase("agreed");
  EXPECT_FALSE(read_account_order(less));
}

}  // namespace
}  // namespace karta::identity
