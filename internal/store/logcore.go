package store

import (
	"context"
	"log/slog"
	"slices"
	"strings"

	"go.uber.org/zap/zapcore"
)

// logCore hands etcd's log to slog, a level lower than etcd thinks: its warnings are of interest to who looks
// for them, its information to who debugs.
type logCore struct {
	log *slog.Logger
}

func levelOf(l zapcore.Level) slog.Level {
	switch {
	case l >= zapcore.ErrorLevel:
		return slog.LevelError
	case l == zapcore.WarnLevel:
		return slog.LevelInfo
	default:
		return slog.LevelDebug
	}
}

// noise is what etcd complains of when nothing is wrong: two are mistaken about a unix socket, one comes a moment
// before what it misses.
var noise = []string{
	"Running http and grpc server on single port",
	"serving client traffic insecurely",
	"failed to update storage version",
	// These come at every orderly stop; a socket that really fails is noticed by the client on it.
	"setting up serving from embedded etcd failed",
	"stopping insecure grpc server",
	"stopped insecure grpc server",
}

// Enabled is zapcore.Core's.
func (c *logCore) Enabled(l zapcore.Level) bool {
	return c.log.Enabled(context.Background(), levelOf(l))
}

// With is zapcore.Core's.
func (c *logCore) With(fields []zapcore.Field) zapcore.Core {
	return &logCore{log: slog.New(c.log.Handler().WithAttrs(attrsOf(fields)))}
}

// Check is zapcore.Core's.
func (c *logCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if slices.ContainsFunc(noise, func(s string) bool { return strings.HasPrefix(e.Message, s) }) {
		return ce
	}
	if c.Enabled(e.Level) {
		return ce.AddCore(e, c)
	}
	return ce
}

// Write is zapcore.Core's.
func (c *logCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	c.log.LogAttrs(context.Background(), levelOf(e.Level), "etcd: "+e.Message, attrsOf(fields)...)
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
