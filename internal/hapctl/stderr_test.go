package hapctl

import (
	"log/slog"
	"testing"
)

func TestLevelsOfWhatHAProxySays(t *testing.T) {
	for line, want := range map[string]slog.Level{
		"[WARNING]  (64) : Former worker (67) exited with code 0 (Exit)":                          slog.LevelDebug,
		"[WARNING]  (64) : Former worker (67) exited with code 139 (Segmentation fault)":          slog.LevelWarn,
		"[WARNING]  (64) : Current worker (67) exited with code 0 (Exit)":                         slog.LevelWarn,
		"[WARNING]  (67) : Proxy web stopped (cumulated conns: FE: 0, BE: 3).":                    slog.LevelDebug,
		"[WARNING]  (67) : Server web/a is UP, reason: Layer4 check passed, check duration: 0ms.": slog.LevelDebug,
		"[WARNING]  (67) : Server web/a is DOWN, reason: Layer4 timeout.":                         slog.LevelWarn,
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
