package register

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"weir"
	"weir/internal/systemd"
)

// Options say what runs where.
type Options struct {
	Service *Service
	// State is the folder for key and certificate.
	State string
	Log   *slog.Logger
	// Now is the clock that judges certificates; nil is the system's.
	Now func() time.Time
}

// The paces of an agent.
const (
	// firstPause is until a control plane has said how often it wants to hear of the server.
	firstPause = 10 * time.Second
	// renewSpread is over how long those draw the time of their renewal to whom it falls due at once.
	renewSpread = 20 * time.Second
	renewAgain  = time.Minute
	// withdrawWithin bounds the last word.
	withdrawWithin = 15 * time.Second
	// tokenWarning is how long before its end the log tells of a token.
	tokenWarning = 14 * 24 * time.Hour
)

// Run checks the service and keeps the control plane told until ctx ends; then it drains, waits, withdraws and returns nil.
// An error is of what it needs on this machine: without a control plane it goes on.
func Run(ctx context.Context, o Options) error {
	if o.Now == nil {
		o.Now = time.Now
	}
	id, err := openState(o.State, o.Service.Name, o.Service.CA)
	if err != nil {
		return err
	}
	a := &agent{
		service: o.Service, log: o.Log, now: o.Now, manager: systemd.FromEnvironment(),
		client: &client{service: o.Service, state: o.State, now: o.Now, log: o.Log, id: id, at: rand.IntN(len(o.Service.ControlPlane))},
		pause:  firstPause,
	}
	a.log.Info("registering this server", "server", o.Service.Name, "checks", len(o.Service.Checks), "controlplane", o.Service.ControlPlane)
	a.manager.Tell("READY=1", "STATUS=looking at the service")
	a.serve(ctx)
	a.leave(context.WithoutCancel(ctx))
	return nil
}

// agent is one run.
type agent struct {
	service *Service
	client  *client
	log     *slog.Logger
	now     func() time.Time
	manager *systemd.Manager

	verdicts verdicts
	// pause is how often the control plane is to hear, failed how often it was tried in a row for nothing.
	pause  time.Duration
	failed int
	// said is what the control plane has heard last, as the log was told; problem what it was told of troubles.
	said, problem string
	warned        bool
}

// look is what came of one check.
type look struct {
	check int
	err   error
}

// serve looks and tells until ctx ends.
func (a *agent) serve(ctx context.Context) {
	looks := make(chan look)
	a.verdicts = verdictsOf(a.service.Checks)
	for i := range a.service.Checks {
		go a.watch(ctx, i, looks)
	}
	word := time.NewTimer(0)
	defer word.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case l := <-looks:
			if a.verdicts[l.check].looked(l.err) {
				word.Reset(0)
			}
		case <-word.C:
			word.Reset(a.tell(ctx))
		}
	}
}

// watch makes one check again and again.
func (a *agent) watch(ctx context.Context, i int, looks chan<- look) {
	check := &a.service.Checks[i]
	for {
		err := check.look(ctx)
		if ctx.Err() != nil {
			return
		}
		select {
		case looks <- look{i, err}:
		case <-ctx.Done():
			return
		}
		select {
		case <-time.After(check.Interval.D()):
		case <-ctx.Done():
			return
		}
	}
}

// tell says how the service is, and gives how long to wait until it is said again.
func (a *agent) tell(ctx context.Context) time.Duration {
	well, decided, why := a.verdicts.sum()
	if !decided {
		return a.pause // a verdict comes first, and wakes
	}
	state := weir.RegistrationHealthy
	if !well {
		state = weir.RegistrationWithdrawn
	}
	return a.say(ctx, state, why)
}

func (a *agent) announcement(state, why string) weir.Announcement {
	s := a.service
	return weir.Announcement{Address: s.Address, Zone: s.Zone, Clusters: s.Clusters, Ports: s.Ports, Weight: s.Weight, Labels: s.Labels, State: state, Reason: why}
}

func (a *agent) say(ctx context.Context, state, why string) time.Duration {
	got, err := a.client.say(ctx, a.announcement(state, why))
	if ctx.Err() != nil {
		return a.pause
	}
	if err != nil {
		return a.troubled(state, err)
	}
	if a.problem != "" {
		a.log.Info("the control plane hears this server again")
	}
	a.failed, a.problem = 0, ""
	if got.Heartbeat > 0 {
		a.pause = got.Heartbeat.D()
	}
	a.tellPeople(got, state, why)
	return a.pause - spread(a.pause/5)
}

// troubled tells the log once, and gives how long to wait: soon at first, and never so long that the lease would run out for
// it.
func (a *agent) troubled(state string, err error) time.Duration {
	wait := backoff(a.failed, a.pause)
	a.failed++
	var no *refusal
	if errors.As(err, &no) {
		wait = a.pause
	}
	if a.problem != err.Error() {
		a.problem = err.Error()
		a.log.Warn("can't tell the control plane; trying again", "state", state, "error", err)
		a.status("can't tell the control plane that it is " + state + ": " + err.Error())
	}
	return wait/2 + spread(wait/2)
}

func (a *agent) tellPeople(got answer, state, why string) {
	now := state + " " + why + " " + got.State + " " + got.Reason
	if now != a.said {
		a.said = now
		attrs := []any{"server", a.service.Name, "state", state}
		if why != "" {
			attrs = append(attrs, "why", why)
		}
		if got.State != state {
			attrs = append(attrs, "taken", got.State, "because", got.Reason)
		}
		if got.ManagedBy != "" {
			attrs = append(attrs, "managedby", got.ManagedBy)
		}
		a.log.Info("told the control plane", attrs...)
		text := state
		if why != "" {
			text += ": " + why
		}
		if got.State != state {
			text += "; the control plane has it " + got.State + ": " + got.Reason
		}
		a.status(text)
	}
	if left := got.TokenExpiresAt.Sub(a.now()); !got.TokenExpiresAt.IsZero() && left < tokenWarning && !a.warned {
		a.warned = true
		a.log.Warn("the registration token ends soon, and with it the registration; lay another one in its place", "file", a.service.TokenFile, "until", got.TokenExpiresAt)
	}
}

// leave has the control plane send nothing new here, waits for what runs, and withdraws.
func (a *agent) leave(ctx context.Context) {
	if a.said == "" && a.client.id.cert == nil {
		a.log.Info("nothing to withdraw: no control plane has let this server in")
		return
	}
	drain := a.service.DrainTime.D()
	a.stopping(drain + 2*withdrawWithin)
	well, decided, _ := a.verdicts.sum()
	if well && decided && drain > 0 {
		a.log.Info("draining: no new requests, and time for those that run", "for", drain)
		a.drain(ctx, drain)
	}
	ctx, cancel := context.WithTimeout(ctx, withdrawWithin)
	defer cancel()
	for n := 0; ; n++ {
		err := a.client.withdraw(ctx, "its agent was stopped")
		var no *refusal
		if err == nil {
			a.log.Info("withdrawn")
			return
		}
		if errors.As(err, &no) || !rest(ctx, backoff(n, 2*time.Second)) {
			a.log.Warn("can't withdraw; the registration runs out by itself", "error", err)
			return
		}
	}
}

// drain says it as soon as somebody hears it, and keeps the registration alive meanwhile.
func (a *agent) drain(ctx context.Context, drain time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, drain)
	defer cancel()
	for rest(ctx, a.say(ctx, weir.RegistrationDraining, "its agent is being stopped")) {
	}
}

// rest waits, and says whether ctx has not ended.
func rest(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// spread draws a time below d, so that many do the same at different times.
func spread(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return rand.N(d)
}
