#pragma once
// A break in a book's chain of updates, told twice: at once (should no snapshot ever come), and with the next
// snapshot, when the whole is known that was not published. Both rows have one gap_id, so that the table keeps the
// second. The same for every venue; a function of records only.

#include <optional>

#include "feed/checkpoint.hpp"
#include "model/event.hpp"
#include "model/reports.hpp"

namespace mp {

// A place in a book's chain: an update's or a snapshot's id and the venue's time of it.
struct BookPoint {
  std::uint64_t id = 0;
  WallTime at;
};

class BookGap {
 public:
  // The hole between the last good update and the next one that there is, noticed with a record received at
  // `noticed_at`. A gap that is open stays as it is told: the new one has a name of its own.
  Gap open(const InstrumentRef& instrument, DataSource source, GapCause cause, const BookPoint& last_good,
           const BookPoint& next, WallTime noticed_at);
  // The book goes on at `snapshot`: the same gap again, up to it. Nothing when none is open.
  std::optional<Gap> close(const InstrumentRef& instrument, DataSource source, const BookPoint& snapshot,
                           WallTime received_at);
  bool is_open() const { return open_.has_value(); }

  void save(StateWriter& out) const;
  void restore(StateReader& in);

 private:
  struct Open {
    BookPoint last_good;
    WallTime noticed_at;
    GapCause cause{};
  };
  static Gap told(const InstrumentRef& instrument, DataSource source, const Open& open, const BookPoint& next,
                  WallTime received_at);

  std::optional<Open> open_;
};

}  // namespace mp
