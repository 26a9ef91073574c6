// On a terminal: the other screen, keys one by one, drawn anew every second. Elsewhere, and for
// JSON, one look after the other is printed.
#include "top_command.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>

#include "failure.h"
#include "live_page.h"
#include "top_screen.h"

namespace tool {

namespace {

using Clock = std::chrono::steady_clock;

volatile std::sig_atomic_t asked_to_end = 0;
void ask_to_end(int) { asked_to_end = 1; }

volatile std::sig_atomic_t asked_to_stop = 0;
void ask_to_stop(int) { asked_to_stop = 1; }

// The terminal as top needs it, and as it was again at the end.
class Terminal {
 public:
  Terminal() : used_(isatty(STDOUT_FILENO) != 0 && isatty(STDIN_FILENO) != 0) {
    if (used_) enter();
  }
  ~Terminal() {
    if (used_) leave();
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  bool is_used() const { return used_; }

  // As SIGTSTP asks for, until SIGCONT.
  void stop() {
    if (used_) leave();
    ::signal(SIGTSTP, SIG_DFL);
    raise(SIGTSTP);
    ::signal(SIGTSTP, ask_to_stop);
    if (used_) enter();
  }

  void draw(const Rates& rates, const std::string& program, pid_t pid) const {
    winsize size{};
    ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    const size_t columns = size.ws_col != 0 ? size.ws_col : 80;
    const size_t lines = size.ws_row != 0 ? size.ws_row : 24;
    fmt::print("\033[H");
    bool first = true;
    for (const std::string& line : screen_of(rates, program, pid, columns, lines - 1)) {
      fmt::print("{}{}\033[K", first ? "" : "\r\n", line);
      first = false;
    }
    fmt::print("\033[J");
    std::fflush(stdout);
  }

 private:
  void enter() {
    tcgetattr(STDIN_FILENO, &before_);
    termios settings = before_;
    settings.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    tcsetattr(STDIN_FILENO, TCSANOW, &settings);
    std::fputs("\033[?1049h\033[?25l", stdout);  // the other screen, no cursor
    std::fflush(stdout);
  }
  void leave() {
    std::fputs("\033[?25h\033[?1049l", stdout);
    std::fflush(stdout);
    tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  }

  bool used_;
  termios before_{};
};

// Waits for the next look; false if the user wants no more.
bool wait_until(Clock::time_point next, bool keys, Terminal& terminal) {
  while (asked_to_end == 0) {
    if (asked_to_stop != 0) {
      asked_to_stop = 0;
      terminal.stop();
    }
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(next - Clock::now()).count();
    if (left <= 0) return true;
    pollfd input{STDIN_FILENO, POLLIN, 0};
    if (poll(&input, keys ? 1 : 0, static_cast<int>(left)) <= 0) continue;
    char key = 0;
    if (read(STDIN_FILENO, &key, 1) != 1 || key == 'q' || key == 'Q') return false;
  }
  return false;
}

void print(const Rates& rates, const std::string& program, const TopOptions& options) {
  if (options.json) {
    const auto replace = nlohmann::ordered_json::error_handler_t::replace;
    fmt::print("{}\n", json_of(rates, program, options.pid).dump(-1, ' ', false, replace));
  } else {
    for (const std::string& line : screen_of(rates, program, options.pid, 500, 500)) {
      fmt::print("{}\n", line);
    }
    fmt::print("\n");
  }
  std::fflush(stdout);
}

}  // namespace

int show_top(const TopOptions& options) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGTSTP}) {
    struct sigaction action {};
    action.sa_handler = signal == SIGTSTP ? ask_to_stop : ask_to_end;  // poll ends: no SA_RESTART
    sigaction(signal, &action, nullptr);
  }
  const LivePage page(options.pid);
  Terminal terminal;
  const bool draws = terminal.is_used() && !options.json;
  Snapshot before = page.look();
  Clock::time_point next = before.when;
  for (int looks = 0; options.looks == 0 || looks < options.looks; ++looks) {
    next += std::chrono::seconds(1);
    if (!wait_until(next, draws, terminal)) return kSuccess;
    Snapshot now = page.look();
    const Rates rates = rates_between(before, now, options.pid);
    if (draws) {
      terminal.draw(rates, page.program(), options.pid);
    } else {
      print(rates, page.program(), options);
    }
    if (!page.is_alive()) return kSuccess;
    before = std::move(now);
  }
  return kSuccess;
}

}  // namespace tool
