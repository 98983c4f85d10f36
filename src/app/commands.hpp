#pragma once
// One function per subcommand: argv[0] is the subcommand's name. Returns the exit status:
// 0 done, 1 failed (one clear line on standard error), 2 wrong usage.

namespace mp::app {

int run_clickhouse(int argc, char** argv);
int run_collector(int argc, char** argv);
int run_config(int argc, char** argv);
int run_doctor(int argc, char** argv);
int run_export(int argc, char** argv);
int run_exchanges(int argc, char** argv);
int run_journal(int argc, char** argv);
int run_normalize(int argc, char** argv);
int run_probe(int argc, char** argv);
int run_query(int argc, char** argv);
int run_sim(int argc, char** argv);
int run_status(int argc, char** argv);
int run_storage(int argc, char** argv);
int run_tier(int argc, char** argv);
int run_up(int argc, char** argv);

}  // namespace mp::app
