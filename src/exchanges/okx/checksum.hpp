#pragma once
// OKX's old book checksum: CRC-32 over the best 25 bids and asks, over their texts as they were sent ("0.5000" is not
// "0.5"), so this keeps the texts beside the book. Dead since 2026-06-23 (the field is always 0); recordings of
// before need it, and those of before 2023, which have no sequence numbers, have no other proof.
// API v5, "Checksum" as of 2026-05; https://www.okx.com/docs-v5/log_en of 2026-05-21.

#include <cstdint>
#include <string>
#include <vector>

#include "exchanges/okx/decode.hpp"
#include "feed/checkpoint.hpp"

namespace mp::okx {

class ChecksumBook {
 public:
  static constexpr std::size_t kLevels = 25;

  // The whole book, or a change of it (size zero removes); the texts stand beside the levels in `row`.
  void assign(const BookRow& row);
  void apply(const BookRow& row);
  void clear();
  bool empty() const { return bids_.empty() && asks_.empty(); }

  // As the venue writes it: signed.
  std::int32_t checksum() const;

  void save(StateWriter& out) const;
  void restore(StateReader& in);

 private:
  struct Level {
    Decimal price;
    std::string text;  // "price:size"
  };
  // Best first.
  using Side = std::vector<Level>;
  static void set(Side& side, bool best_is_highest, const BookLevel& level, const LevelText& text);
  static void save(StateWriter& out, const Side& side);
  static void restore(StateReader& in, Side& side);

  Side bids_;
  Side asks_;
};

}  // namespace mp::okx
