package dns01

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/miekg/dns"
)

// UpdateOptions says where and how dynamic updates go.
type UpdateOptions struct {
	// Server is the primary of the zone, or a server that hands updates on to it: host or host:port.
	Server string
	// Zone is what is updated; found by asking the server and the resolvers when empty.
	Zone string
	// Key signs the updates.
	Key Key
	// TTL is that of the records; 10 s when 0, so that a wrong value is not long remembered.
	TTL time.Duration
	// Try bounds the wait for one answer, 5 s when 0, and Total one Present or Clean with all it asks, 30 s when 0.
	Try, Total time.Duration
	Proof
}

// Updater puts records by dynamic updates. It is a Solver.
type Updater struct {
	server, zone string
	key          Key
	ttl          uint32 // seconds
	total        time.Duration
	view         view
	prover       prover
	now          func() time.Time
}

// attempts is how often an update is sent that gets no answer.
const attempts = 3

// NewUpdater checks the options; it asks nobody anything.
func NewUpdater(o UpdateOptions) (*Updater, error) {
	server, err := endpoint(o.Server)
	if err != nil {
		return nil, fmt.Errorf("read the server for updates: %w", err)
	}
	zone, err := zoneName(o.Zone)
	if err != nil {
		return nil, err
	}
	if o.Key.secret == nil {
		return nil, errors.New("read the key for updates: there is none; updates are always signed")
	}
	proof, err := o.Proof.check()
	if err != nil {
		return nil, err
	}
	if o.TTL < 0 || o.TTL > time.Hour || o.TTL%time.Second != 0 {
		return nil, fmt.Errorf("read the TTL of challenges: %s is not 1s to 1h in whole seconds", o.TTL)
	}
	c := client{try: orElse(o.Try, 5*time.Second)}
	v := view{client: c, primary: server, resolvers: proof.Resolvers, port: "53", slots: make(chan struct{}, atOnce)}
	return &Updater{
		server: server, zone: zone, key: o.Key, ttl: uint32(orElse(o.TTL, 10*time.Second) / time.Second),
		total: orElse(o.Total, 30*time.Second), view: v, prover: prover{view: v, zone: zone, only: proof.Servers},
		now: time.Now,
	}, nil
}

func orElse(d, usual time.Duration) time.Duration {
	if d <= 0 {
		return usual
	}
	return d
}

func zoneName(zone string) (string, error) {
	if zone == "" {
		return "", nil
	}
	if !isName(zone) {
		return "", fmt.Errorf("read the zone for updates: %q is no zone's name, as example.com", clip(zone))
	}
	return dns.CanonicalName(zone), nil
}

// Present adds the value to those of its name.
func (u *Updater) Present(ctx context.Context, r Record) error {
	return u.update(ctx, r, "put", (*dns.Msg).Insert)
}

// Clean removes the value from those of its name.
func (u *Updater) Clean(ctx context.Context, r Record) error {
	return u.update(ctx, r, "take away", (*dns.Msg).Remove)
}

// Wait asks the zone's name servers, or those that the options name.
func (u *Updater) Wait(ctx context.Context, r Record) error { return u.prover.wait(ctx, r) }

// update finds where the record belongs and sends the change, again when no answer comes: a second time does no harm.
func (u *Updater) update(ctx context.Context, r Record, what string, change func(*dns.Msg, []dns.RR)) error {
	if err := r.check(); err != nil {
		return fmt.Errorf("%s the challenge's record: %w", what, err)
	}
	ctx, cancel := context.WithTimeout(ctx, u.total)
	defer cancel()
	at := place{name: r.Owner(), zone: u.zone}
	var err error
	for n := range attempts {
		if n > 0 && !sleep(ctx, 200*time.Millisecond<<n) {
			break
		}
		if err = u.once(ctx, r, &at, change); err == nil || !again(err) {
			break
		}
	}
	if err == nil {
		return nil
	}
	zone := ""
	if at.zone != "" {
		zone = " in the zone " + at.zone
	}
	return fmt.Errorf("%s TXT %s%s at %s: %w", what, at.name, zone, u.server, err)
}

// once sends the change a single time; at is set as soon as it is known.
func (u *Updater) once(ctx context.Context, r Record, at *place, change func(*dns.Msg, []dns.RR)) error {
	found, err := u.view.place(ctx, r.Owner(), u.zone)
	if err != nil {
		return err
	}
	*at = found
	m := new(dns.Msg).SetUpdate(at.zone)
	change(m, []dns.RR{&dns.TXT{
		Hdr: dns.RR_Header{Name: at.name, Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: u.ttl},
		Txt: []string{r.Value},
	}})
	wire, mac, err := u.key.sign(m, u.now())
	if err != nil {
		return fmt.Errorf("sign the update: %w", err)
	}
	answer, raw, err := u.view.toPrimary(ctx, m, wire)
	if err != nil {
		return temporary{err}
	}
	if answer.Rcode != dns.RcodeSuccess {
		return refusal(answer, at.zone, u.key)
	}
	if err := u.key.verify(answer, raw, mac); err != nil {
		return fmt.Errorf("the server says it is done, but can't be believed: %w; is it the server that has the key %s?", err, u.key)
	}
	return nil
}

// sleep waits, and says whether ctx let it.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
