// Schema: the registry's tables, as the numbered steps that make them. Private to the registry.
//
// Rules (they let the same SQL run on PostgreSQL and its distributed kin): citizen_id, 64 bits and random, leads every
// key of a citizen's tables; every other unique key is a small lookup table; no sequences, triggers or foreign keys
// beyond one citizen's rows. Times are seconds since 1970, dates and numbers text, states the numbers of their enums.
// A step that has been released is never edited: add another.
#pragma once

#include <span>

#include "service/migrations.h"

namespace karta::identity {

std::span<const service::Migration> registry_migrations();

}  // namespace karta::identity
