#include "firmware-sim/os/arm/chip_hal.h"

namespace karta::os {
namespace {

// Registers of the reference chip.
constexpr std::uintptr_t kNvmBase = 0x10000000;

struct NvmController {
  volatile u32 page;
  volatile u32 offset;
  volatile u32 source;  // address of the octets to program
  volatile u32 length;
  volatile u32 command;  // 1 erase, 2 program; reads as 0 when done
  volatile u32 fault;    // not 0: the last command failed
};
NvmController& nvm() { return *reinterpret_cast<NvmController*>(0x40000000); }

struct Timer {
  volatile u32 count;  // counts down once a millisecond
};
Timer& timer() { return *reinterpret_cast<Timer*>(0x40003000); }

// A request to the coprocessor: operation, parameter, and up to eight operands as address and length.
struct Operand {
  u32 address;
  u32 length;
};
struct Coprocessor {
  volatile u32 parameter;
  volatile u32 operand[16];
  volatile u32 command;  // writing an operation starts it; reads as 0 when done
  volatile u32 status;   // HalStatus
};
Coprocessor& coprocessor() { return *reinterpret_cast<Coprocessor*>(0x40001000); }

enum class Operation : u32 {
  rsa_generate = 1,
  rsa_private,
  ec_generate,
  ec_public_point,
  ec_check_point,
  ec_sign,
  ec_agree,
  random,
  self_test,
  ec_verify,
  ec_map,
  ec_generate_on,
  digest_begin,
  digest_part,
  digest_end,
  aes_cbc,
  cmac_begin,
  cmac_part,
  cmac_end,
  aes_blocks,
};

Operand operand(ByteView data) {
  return {.address = static_cast<u32>(reinterpret_cast<std::uintptr_t>(data.data())),
          .length = static_cast<u32>(data.size())};
}

HalStatus run(Operation operation, u32 parameter, std::span<const Operand> operands) {
  Coprocessor& unit = coprocessor();
  unit.parameter = parameter;
  std::size_t i = 0;
  for (const Operand& o : operands) {
    unit.operand[i++] = o.address;
    unit.operand[i++] = o.length;
  }
  asm volatile("dsb" ::: "memory");
  unit.command = static_cast<u32>(operation);
  while (unit.command != 0) {
  }
  asm volatile("dsb" ::: "memory");
  return static_cast<HalStatus>(unit.status);
}

// A digest or MAC: begin, each part, end; the three operations follow one another in the list.
HalStatus absorb(Operation begin, u32 parameter, ByteView key, ByteViews message, ByteSpan out) {
  const auto step = [&](u32 offset, ByteView data) {
    const Operand operands[] = {operand(data)};
    return run(static_cast<Operation>(static_cast<u32>(begin) + offset), parameter, operands);
  };
  HalStatus status = step(0, key);
  for (const ByteView& part : message) {
    if (status == HalStatus::ok) status = step(1, part);
  }
  return status == HalStatus::ok ? step(2, out) : status;
}

HalStatus nvm_command(std::size_t page, std::size_t offset, ByteView data, u32 command) {
  NvmController& unit = nvm();
  unit.page = static_cast<u32>(page);
  unit.offset = static_cast<u32>(offset);
  const Operand source = operand(data);
  unit.source = source.address;
  unit.length = source.length;
  asm volatile("dsb" ::: "memory");
  unit.command = command;
  while (unit.command != 0) {
  }
  return unit.fault == 0 ? HalStatus::ok : HalStatus::failed;
}

template <typename Span>
void put_key(const RsaCrt<Span>& key, Operand* out) {
  out[0] = operand(key.modulus);
  out[1] = operand(key.prime_p);
  out[2] = operand(key.prime_q);
  out[3] = operand(key.exponent_p);
  out[4] = operand(key.exponent_q);
  out[5] = operand(key.coefficient);
}

}  // namespace

HalStatus ChipHal::read(std::size_t page, std::size_t offset, ByteSpan out) {
  const volatile u8* from = reinterpret_cast<const volatile u8*>(kNvmBase + page * page_bytes() + offset);
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = from[i];
  return HalStatus::ok;
}

HalStatus ChipHal::erase(std::size_t page) { return nvm_command(page, 0, {}, 1); }

HalStatus ChipHal::write(std::size_t page, std::size_t offset, ByteView data) {
  return nvm_command(page, offset, data, 2);
}

HalStatus ChipHal::rsa_generate(const RsaCrt<ByteSpan>& key) {
  Operand operands[6];
  put_key(key, operands);
  return run(Operation::rsa_generate, 65537, operands);
}

HalStatus ChipHal::rsa_private(const RsaCrt<ByteView>& key, u32 public_exponent, ByteView in, ByteSpan out) {
  Operand operands[8];
  put_key(key, operands);
  operands[6] = operand(in);
  operands[7] = operand(out);
  return run(Operation::rsa_private, public_exponent, operands);
}

HalStatus ChipHal::ec_generate(Curve curve, ByteSpan scalar, ByteSpan point) {
  const Operand operands[] = {operand(scalar), operand(point)};
  return run(Operation::ec_generate, static_cast<u32>(curve), operands);
}

HalStatus ChipHal::ec_public_point(Curve curve, ByteView scalar, ByteSpan point) {
  const Operand operands[] = {operand(scalar), operand(point)};
  return run(Operation::ec_public_point, static_cast<u32>(curve), operands);
}

HalStatus ChipHal::ec_check_point(Curve curve, ByteView point) {
  const Operand operands[] = {operand(point)};
  return run(Operation::ec_check_point, static_cast<u32>(curve), operands);
}

HalStatus ChipHal::ec_sign(Curve curve, ByteView scalar, ByteView digest, ByteSpan raw) {
  const Operand operands[] = {operand(scalar), operand(digest), operand(raw)};
  return run(Operation::ec_sign, static_cast<u32>(curve), operands);
}

HalStatus ChipHal::ec_agree(Curve curve, ByteView scalar, ByteView point, ByteSpan x) {
  const Operand operands[] = {operand(scalar), operand(point), operand(x)};
  return run(Operation::ec_agree, static_cast<u32>(curve), operands);
}

HalStatus ChipHal::ec_verify(Curve curve, ByteView point, ByteView digest, ByteView raw) {
  const Operand operands[] = {operand(point), operand(digest), operand(raw)};
  return run(Operation::ec_verify, static_cast<u32>(curve), operands);
}

HalStatus ChipHal::ec_map(Curve curve, ByteView nonce, ByteView scalar, ByteView point, ByteSpan generator) {
  const Operand operands[] = {operand(nonce), operand(scalar), operand(point), operand(generator)};
  return run(Operation::ec_map, static_cast<u32>(curve), operands);
}

HalStatus ChipHal::ec_generate_on(Curve curve, ByteView generator, ByteSpan scalar, ByteSpan point) {
  const Operand operands[] = {operand(generator), operand(scalar), operand(point)};
  return run(Operation::ec_generate_on, static_cast<u32>(curve), operands);
}

HalStatus ChipHal::digest(Digest digest, ByteViews message, ByteSpan out) {
  return absorb(Operation::digest_begin, static_cast<u32>(digest), {}, message, out);
}

HalStatus ChipHal::aes_cbc(Cipher cipher, ByteView key, ByteView iv, ByteView in, ByteSpan out) {
  const Operand operands[] = {operand(key), operand(iv), operand(in), operand(out)};
  return run(Operation::aes_cbc, static_cast<u32>(cipher), operands);
}

HalStatus ChipHal::aes_blocks(ByteView key, ByteView in, ByteSpan out) {
  const Operand operands[] = {operand(key), operand(in), operand(out)};
  return run(Operation::aes_blocks, 0, operands);
}

HalStatus ChipHal::aes_cmac(ByteView key, ByteViews message, ByteSpan out) {
  return absorb(Operation::cmac_begin, 0, key, message, out);
}

void ChipHal::wait(u32 milliseconds) {
  timer().count = milliseconds;
  while (timer().count != 0) {
  }
}

HalStatus ChipHal::random(ByteSpan out) {
  const Operand operands[] = {operand(out)};
  return run(Operation::random, 0, operands);
}

HalStatus ChipHal::self_test() { return run(Operation::self_test, 0, {}); }

}  // namespace karta::os
