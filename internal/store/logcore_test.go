package store

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"weir/internal/weirtest"
)

func TestWordsOfEtcd(t *testing.T) {
	for _, level := range []slog.Level{slog.LevelInfo, slog.LevelDebug} {
		var out weirtest.Buffer
		theirs := zap.New(&logCore{log: slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: level}))}).With(zap.String("member", "weir"))
		for _, c := range []struct {
			say  func(string, ...zap.Field)
			text string
			want string // "" for nothing but for who debugs
		}{
			{theirs.Info, "ready to serve client requests", ""},
			{theirs.Warn, "simple token is not cryptographically signed", ""},
			{theirs.Warn, "apply request took too long", ""},
			{theirs.Error, "setting up serving from embedded etcd failed.", ""},
			{theirs.Error, "failed to update storage version", ""},
			{theirs.Warn, "slow fdatasync", `level=WARN msg="store: the disk took long to keep a change`},
			{theirs.Warn, "80% of file descriptors are used", `level=WARN msg="store: file descriptors run out`},
			{theirs.Warn, "message exceeded backend quota; raising alarm", `level=WARN msg="store: the database is full`},
			{theirs.Error, "failed to commit tx", `level=ERROR msg="store: its database (etcd) has a problem: failed to commit tx" member=weir`},
		} {
			before := len(out.String())
			c.say(c.text, zap.Duration("took", 2*time.Second), zap.Error(errors.New("no space left on device")))
			said := out.String()[before:]
			switch {
			case c.want == "" && level == slog.LevelInfo && said != "":
				t.Errorf("%s: %s", c.text, said)
			case c.want == "" && level == slog.LevelDebug && !strings.Contains(said, `level=DEBUG msg="etcd: `+c.text):
				t.Errorf("%s, for who debugs: %s", c.text, said)
			case c.want != "" && (!strings.Contains(said, c.want) || !strings.Contains(said, "took=2s") || !strings.Contains(said, `error="no space left on device"`)):
				t.Errorf("%s: %s, want %s", c.text, said, c.want)
			}
		}
	}
}
