package signin

import (
	"context"
	"errors"
	"log/slog"

	"weir/internal/secrets"
	"weir/internal/store"
)

// Tend ends the sessions that have lost what they rest on: their token, their identity provider, or their subject's last Grant. One server of the
// store does so; each refuses them from that moment on anyway. It ends with ctx.
func (d *Desk) Tend(ctx context.Context) error {
	select {
	case <-d.sessions.Ready():
	case <-ctx.Done():
		return ctx.Err()
	}
	from := d.opts.Store.Revision()
	d.sweep(ctx)
	for ev, err := range d.opts.Store.Watch(ctx, from) {
		if err != nil {
			return errors.Join(ctx.Err(), err)
		}
		for _, o := range ev.Change.Objects {
			if o.Kind == "Token" || o.Kind == "Grant" || o.Kind == "IdentityProvider" {
				d.sweep(ctx)
				break
			}
		}
	}
	return ctx.Err()
}

func (d *Desk) sweep(ctx context.Context) {
	view := d.opts.Store.View()
	granted := grantedIn(view)
	now := d.opts.Clock()
	for _, s := range d.sessions.All() {
		if s.Revision > view.Revision {
			continue // made by what is not seen here yet
		}
		err := d.Judge(view, s, now)
		if err == nil && !Granted(granted, s) {
			err = errors.New("nothing is granted to the subject any more")
		}
		if err == nil {
			continue
		}
		if gone := d.Close(ctx, s.ID); gone != nil {
			if ctx.Err() == nil {
				d.opts.Log.Warn("a session could not be ended; it is refused all the same", slog.String("subject", s.Subject), slog.Any("error", gone))
			}
			return
		}
		d.tell(secrets.AuditEntry{Author: s.Subject, What: "end session", Outcome: "accepted", Reason: err.Error()})
	}
}

// Granted says whether a session's subject, or one of its groups, is among those that something is granted to.
func Granted(granted map[string]bool, s store.Session) bool {
	if granted[s.Subject] {
		return true
	}
	for _, g := range s.Groups {
		if granted[g] {
			return true
		}
	}
	return false
}

func (d *Desk) tell(e secrets.AuditEntry) {
	if d.opts.Audit == nil {
		return
	}
	if err := d.opts.Audit.Append(e); err != nil {
		d.opts.Log.Error("sign-in: the audit file can't be written", slog.Any("error", err))
	}
}
