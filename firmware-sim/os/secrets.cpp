#include "firmware-sim/os/secrets.h"

#include "firmware-sim/os/files.h"

namespace karta::os {
namespace {

u16 page_of(u8 index) { return static_cast<u16>(kSecretPages + index / Secrets::kPerPage); }
std::size_t offset_of(u8 index) { return index % Secrets::kPerPage * Secrets::kRecordBytes; }

}  // namespace

Sw Secrets::format() {
  const Secret none;
  for (u8 index = 0; index <= kCan; ++index) KARTA_OS_TRY(store(index, none));
  return Sw::ok;
}

Sw Secrets::load(u8 index, Secret& out) {
  u8 r[kRecordBytes];
  const WipeOnExit wipe_record(r);
  KARTA_OS_TRY(journal_.read(page_of(index), offset_of(index), r));
  out.flags = r[0];
  out.tries = r[1];
  out.max_tries = r[2];
  out.puk_tries = r[3];
  out.max_puk_tries = r[4];
  copy(out.value, {r + 5, 16});
  copy(out.puk, {r + 21, 8});
  return Sw::ok;
}

Sw Secrets::store(u8 index, const Secret& secret) {
  u8 r[kRecordBytes] = {};
  const WipeOnExit wipe_record(r);
  r[0] = secret.flags;
  r[1] = secret.tries;
  r[2] = secret.max_tries;
  r[3] = secret.puk_tries;
  r[4] = secret.max_puk_tries;
  copy({r + 5, 16}, secret.value);
  copy({r + 21, 8}, secret.puk);
  return journal_.write(page_of(index), offset_of(index), r);
}

Sw Secrets::save(u8 index, const Secret& secret) {
  Transaction transaction(journal_, 1);
  KARTA_OS_TRY(transaction.status());
  KARTA_OS_TRY(store(index, secret));
  return transaction.commit();
}

Sw Secrets::load_set(u8 index, Secret& out) {
  KARTA_OS_TRY(load(index, out));
  return out.is_set() ? Sw::ok : Sw::referenced_data_not_found;
}

Sw Secrets::spend_try(u8 index, Secret& secret, Counter counter) {
  u8& tries = counter == Counter::pin ? secret.tries : secret.puk_tries;
  if (tries == 0) return Sw::method_blocked;
  tries -= 1;
  return save(index, secret);
}

Sw Secrets::verify(u8 index, ByteView candidate) {
  Secret secret;
  KARTA_OS_TRY(load_set(index, secret));
  if (secret.is_transport() || secret.is_deactivated()) {
    return secret.tries == 0 ? Sw::method_blocked : Sw::reference_data_not_usable;
  }
  KARTA_OS_TRY(spend_try(index, secret, Counter::pin));
  if (!equal_constant_time({secret.value, kPinBytes}, candidate)) return tries_left(secret.tries);
  secret.tries = secret.max_tries;
  return save(index, secret);
}

Sw Secrets::change(u8 index, ByteView old_value, ByteView new_value) {
  Secret secret;
  KARTA_OS_TRY(load_set(index, secret));
  if (secret.is_deactivated()) return Sw::reference_data_not_usable;
  KARTA_OS_TRY(spend_try(index, secret, Counter::pin));
  if (!equal_constant_time({secret.value, kPinBytes}, old_value)) return tries_left(secret.tries);
  copy(secret.value, new_value);
  secret.tries = secret.max_tries;
  secret.flags = static_cast<u8>(secret.flags & ~Secret::kTransport);
  return save(index, secret);
}

Sw Secrets::unblock(u8 index, ByteView puk, ByteView new_value) {
  Secret secret;
  KARTA_OS_TRY(load_set(index, secret));

  const bool shared = (secret.flags & Secret::kHasSharedPuk) != 0;
  Secret shared_puk;
  if (shared) {
    KARTA_OS_TRY(load(kSharedPuk, shared_puk));
    if (!shared_puk.is_set()) return Sw::referenced_data_not_found;
    KARTA_OS_TRY(spend_try(kSharedPuk, shared_puk, Counter::pin));
    if (!equal_constant_time({shared_puk.value, kPinBytes}, puk)) return tries_left(shared_puk.tries);
    shared_puk.tries = shared_puk.max_tries;
  } else {
    KARTA_OS_TRY(spend_try(index, secret, Counter::puk));
    if (!equal_constant_time(secret.puk, puk)) return tries_left(secret.puk_tries);
    secret.puk_tries = secret.max_puk_tries;
  }

  copy(secret.value, new_value);
  secret.tries = secret.max_tries;
  secret.flags = static_cast<u8>(secret.flags & ~Secret::kTransport);
  Transaction transaction(journal_, 2);
  KARTA_OS_TRY(transaction.status());
  KARTA_OS_TRY(store(index, secret));
  if (shared) KARTA_OS_TRY(store(kSharedPuk, shared_puk));
  return transaction.commit();
}

Sw Secrets::password(u8 index, ByteSpan out, std::size_t& length) {
  Secret secret;
  KARTA_OS_TRY(load_set(index, secret));
  copy(out, secret.value);
  length = index == kSharedPuk ? kPukDigits : index == kCan ? kCanDigits : kPinBytes;
  while (length != 0 && secret.value[length - 1] == 0xFF) --length;
  return Sw::ok;
}

Sw Secrets::begin_try(u8 index, u8& left, bool& transport) {
  Secret secret;
  KARTA_OS_TRY(load_set(index, secret));
  KARTA_OS_TRY(spend_try(index, secret, Counter::pin));
  left = secret.tries;
  transport = secret.is_transport();
  return Sw::ok;
}

Sw Secrets::count_failure(u8 index, u8& before) {
  Secret secret;
  KARTA_OS_TRY(load_set(index, secret));
  before = secret.tries;
  if (secret.tries == 0xFF) return Sw::ok;
  secret.tries += 1;
  return save(index, secret);
}

Sw Secrets::restore_tries(u8 index) {
  Secret secret;
  KARTA_OS_TRY(load_set(index, secret));
  secret.tries = secret.max_tries;  // of the CAN: no failures
  return save(index, secret);
}

Sw Secrets::replace(u8 index, ByteView new_value) {
  Secret secret;
  KARTA_OS_TRY(load_set(index, secret));
  copy(secret.value, new_value);
  secret.tries = secret.max_tries;
  secret.flags = static_cast<u8>(secret.flags & ~Secret::kTransport);
  return save(index, secret);
}

Sw Secrets::set_deactivated(u8 index, bool on) {
  Secret secret;
  KARTA_OS_TRY(load_set(index, secret));
  secret.flags = static_cast<u8>(on ? secret.flags | Secret::kDeactivated : secret.flags & ~Secret::kDeactivated);
  return save(index, secret);
}

}  // namespace karta::os
