#pragma once

namespace mp {
inline constexpr const char* kVersion = "0.1.0";
}
