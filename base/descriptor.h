// Descriptor: an open file, closed when this goes, and with it a lock it holds.
#pragma once

#include <unistd.h>

namespace karta {

class Descriptor {
 public:
  /// Of what open() and the like gave; negative: none.
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  int get() const { return number_; }

 private:
  int number_;
};

}  // namespace karta
