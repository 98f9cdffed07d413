// What the registry's tests share: a folder of their own, a registry in it, and made-up citizens.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "identity/registry.h"
#include "service/database_testing.h"

namespace karta::identity {

/// The `number`-th made-up citizen; numbers give different SNILS and names.
inline Citizen made_up_citizen(std::uint32_t number, std::string family = "Образцов") {
  Citizen citizen;
  citizen.snils = Snils::from_number(990'000'000 + number);
  citizen.family = std::move(family);
  citizen.given = "Пример";
  citizen.patronymic = "Тестович";
  citizen.birth_date = *parse_date("1990-05-17");
  citizen.sex = Sex::male;
  citizen.enp = Enp::from_number(990'000'000'000'000 + number);
  citizen.insurer = "Выдуманная страховая";
  citizen.region = "99";
  citizen.concessions = {{ConcessionKind::student, *parse_date("2026-09-01"), *parse_date("2027-08-31")}};
  EXPECT_TRUE(complete(citizen, *parse_date("2026-11-21")).empty());
  return citizen;
}

class RegistryFixture : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "karta-registry-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string path(const std::string& name = "registry.db") const { return (folder_ / name).string(); }
  std::string url(const std::string& name = "registry.db") const { return service::test_database_url(folder_ / name); }
  Registry create(const std::string& name = "registry.db") {
    auto registry = Registry::create(url(name), clock_, random_);
    EXPECT_TRUE(registry) << registry.error().message;
    return std::move(*registry);
  }
  Registry open(const std::string& name = "registry.db") {
    auto registry = Registry::open(url(name), clock_, random_);
    EXPECT_TRUE(registry) << registry.error().message;
    return std::move(*registry);
  }

  std::filesystem::path folder_;
  FixedClock clock_{*parse_time("2026-11-21T08:30:00Z")};
  SystemRandom random_;
  const Cause cause_{"test", "because"};
  const Purpose purpose_{"test", "look", "case 1"};
};

}  // namespace karta::identity
