package store

import (
	"context"
	"log/slog"
	"slices"
	"strings"

	"go.uber.org/zap/zapcore"
)

// logCore hands etcd's log to slog, for people who run Weir and need not know etcd: what it calls an error, and the
// few warnings that somebody can do something about, in words of ours. All else is for who debugs.
type logCore struct {
	log *slog.Logger
}

// warnings are etcd's by the beginning of its words, with what they mean here.
var warnings = []struct{ theirs, ours string }{
	{"slow fdatasync", "store: the disk took long to keep a change; is it busy, or too slow for the data folder?"},
	{"80% of file descriptors are used", "store: file descriptors run out; raise the limit of open files (LimitNOFILE)"},
	{"message exceeded backend quota; raising alarm", "store: the database is full; it takes no change before old ones have gone"},
}

// noise are errors of etcd's when nothing is wrong: one comes a moment before what it misses, one at every orderly
// stop; a socket that really fails is noticed by the client on it; and a new member that has not caught up, or was
// removed a moment ago, is asked about again.
var noise = []string{
	"failed to update storage version",
	"setting up serving from embedded etcd failed",
	"rejecting promote learner",
	"Validation on configuration change failed",
}

// translate gives the level and the words that an entry has in our log.
func translate(e zapcore.Entry) (slog.Level, string) {
	begins := func(s string) bool { return strings.HasPrefix(e.Message, s) }
	switch {
	case e.Level >= zapcore.ErrorLevel && !slices.ContainsFunc(noise, begins):
		return slog.LevelError, "store: its database (etcd) has a problem: " + e.Message
	case e.Level == zapcore.WarnLevel:
		for _, w := range warnings {
			if begins(w.theirs) {
				return slog.LevelWarn, w.ours
			}
		}
	}
	return slog.LevelDebug, "etcd: " + e.Message
}

// Enabled is zapcore.Core's.
func (c *logCore) Enabled(l zapcore.Level) bool {
	if l >= zapcore.WarnLevel {
		return true // some of them: Check knows which
	}
	return c.log.Enabled(context.Background(), slog.LevelDebug)
}

// With is zapcore.Core's.
func (c *logCore) With(fields []zapcore.Field) zapcore.Core {
	return &logCore{log: slog.New(c.log.Handler().WithAttrs(attrsOf(fields)))}
}

// Check is zapcore.Core's.
func (c *logCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if level, _ := translate(e); !c.log.Enabled(context.Background(), level) {
		return ce
	}
	return ce.AddCore(e, c)
}

// Write is zapcore.Core's.
func (c *logCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	level, text := translate(e)
	c.log.LogAttrs(context.Background(), level, text, attrsOf(fields)...)
	return nil
}

// Sync is zapcore.Core's.
func (c *logCore) Sync() error { return nil }

func attrsOf(fields []zapcore.Field) []slog.Attr {
	values := zapcore.NewMapObjectEncoder()
	attrs := make([]slog.Attr, 0, len(fields))
	for _, f := range fields {
		f.AddTo(values)
		if v, ok := values.Fields[f.Key]; ok {
			attrs = append(attrs, slog.Any(f.Key, v))
		}
	}
	return attrs
}
