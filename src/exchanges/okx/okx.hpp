#pragma once
// The only header of this folder that others include.

#include "exchanges/exchange.hpp"

namespace mp {

Exchange make_okx();

}  // namespace mp
