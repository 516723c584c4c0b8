package hapctl

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

// TestServersThatComeUpAreLoggedWhenAsked: hundreds may at once, with three lines each, so they are logged at the level
// debug alone; who is asked for the last lines gets them all the same.
func TestServersThatComeUpAreLoggedWhenAsked(t *testing.T) {
	t.Parallel()
	for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo} {
		var out bytes.Buffer
		s, err := newStderr(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: level})))
		if err != nil {
			t.Fatal(err)
		}
		s.abandon()
		for _, line := range []string{
			"CLI : 'server web/a' : New server registered.", "Server web/a is DOWN/READY (leaving forced maintenance).",
			"Server web/a is UP, reason: Layer4 check passed.", "Server web/b is DOWN, reason: Layer4 timeout.",
		} {
			s.keep("[WARNING]  (67) : " + line + "\n")
		}
		close(s.queue)
		s.pass()
		if lines := strings.Count(out.String(), "\n"); lines != map[slog.Level]int{slog.LevelDebug: 4, slog.LevelInfo: 1}[level] || !strings.Contains(out.String(), "web/b is DOWN") {
			t.Errorf("at %s this is logged:\n%s", level, out.String())
		}
		if len(s.all()) != 4 {
			t.Errorf("remembered are %q", s.all())
		}
	}
}

func TestLevelsOfWhatHAProxySays(t *testing.T) {
	for line, want := range map[string]slog.Level{
		"[WARNING]  (64) : Former worker (67) exited with code 0 (Exit)":                          slog.LevelDebug,
		"[WARNING]  (64) : Former worker (67) exited with code 139 (Segmentation fault)":          slog.LevelWarn,
		"[WARNING]  (64) : Current worker (67) exited with code 0 (Exit)":                         slog.LevelWarn,
		"[WARNING]  (67) : Proxy web stopped (cumulated conns: FE: 0, BE: 3).":                    slog.LevelDebug,
		"[WARNING]  (67) : Server web/a is UP, reason: Layer4 check passed, check duration: 0ms.": slog.LevelDebug,
		"[WARNING]  (67) : Server web/a is DOWN, reason: Layer4 timeout.":                         slog.LevelWarn,
		"[WARNING]  (67) : Server web/a is DOWN/READY (leaving forced maintenance).":              slog.LevelDebug,
		"[WARNING]  (67) : Server web/a is going DOWN for maintenance. 1 active and 0 backup":     slog.LevelDebug,
		"[NOTICE]   (67) : CLI : 'server web/a' : New server registered.":                         slog.LevelDebug,
		"[NOTICE]   (67) : CLI : Server deleted.":                                                 slog.LevelDebug,
		"[NOTICE]   (67) : CLI : New backend registered.":                                         slog.LevelDebug,
		"[ALERT]    (67) : CLI : 'server web/a' : unknown keyword 'x'.":                           slog.LevelError,
		"[NOTICE]   (67) : config : Empty global server state file 'servers.state'.":              slog.LevelDebug,
		"[NOTICE]   (67) : haproxy version is 3.4.7-1":                                            slog.LevelDebug,
		"[NOTICE]   (67) : path to executable is /usr/sbin/haproxy":                               slog.LevelDebug,
		"[NOTICE]   (64) : Loading success.":                                                      slog.LevelInfo,
		"[ALERT]    (67) : config : parsing [haproxy.cfg:3] : unknown keyword 'x'.":               slog.LevelError,
		"[ALERT]    (67) : backend 'web' has no server available!":                                slog.LevelError,
	} {
		lines := ParseLogLines([]string{line})
		if len(lines) != 1 || slogLevel(lines[0]) != want {
			t.Errorf("%s: %+v is of level %s, want %s", line, lines, slogLevel(lines[0]), want)
		}
	}
}
