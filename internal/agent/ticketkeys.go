package agent

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"weir/internal/hapctl"
	"weir/internal/link"
	"weir/internal/tickets"
)

const (
	// ticketsEvery is how often HAProxy is asked whether it has the ticket keys that it should have.
	ticketsEvery = 10 * time.Second
	// catchUpWithin is how long an agent that is about to start HAProxy waits to hear of the group's ticket keys. A
	// control plane that is there answers in a few milliseconds, and one that is not listening at once.
	catchUpWithin = 500 * time.Millisecond
	// unopenedPause is how long the same is not said again of an envelope that can't be opened.
	unopenedPause = time.Minute
)

// ticketKeeper keeps HAProxy's TLS ticket keys those of the group. Secrets and seeds it has in memory only.
type ticketKeeper struct {
	log   *slog.Logger
	clock func() time.Time
	file  *ticketFile
	// self tells who the agent is, answer sends what it has made of a brief; nil where there is no control plane.
	self   func() link.Self
	answer func(text []byte)
	// changed is told when the report is another.
	changed func()

	briefs chan []byte   // the newest that was not looked at
	wake   chan struct{} // holds a value when HAProxy may have other keys than before

	// turn is held while HAProxy is given keys, and while it reads the file.
	turn sync.Mutex

	mu     sync.Mutex
	client *hapctl.Client // of the HAProxy that runs; nil for none
	want   *wantedKeys
	report link.TicketReport

	unopened map[int64]time.Time // when which epoch was said not to open
}

// wantedKeys are the group's.
type wantedKeys struct {
	keys  tickets.Keys
	seeds []tickets.Seed
}

func newTicketKeeper(file *ticketFile, log *slog.Logger, clock func() time.Time) *ticketKeeper {
	return &ticketKeeper{
		log: log, clock: clock, file: file, changed: func() {}, report: link.TicketReport{Off: file.why()},
		briefs: make(chan []byte, 1), wake: make(chan struct{}, 1), unopened: map[int64]time.Time{},
	}
}

// brief takes what the control plane says, and never waits.
func (k *ticketKeeper) brief(text []byte) {
	for {
		select {
		case k.briefs <- text:
			return
		default:
		}
		select {
		case <-k.briefs:
		default:
		}
	}
}

// runs says which HAProxy there is, nil that there is none.
func (k *ticketKeeper) runs(p *hapctl.Process) {
	if k == nil {
		return
	}
	k.mu.Lock()
	k.client = nil
	if p != nil {
		k.client = p.Watch()
	}
	k.mu.Unlock()
	k.look()
}

func (k *ticketKeeper) look() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// reading keeps the file as it is while HAProxy reads it, until the function given is called.
func (k *ticketKeeper) reading() func() {
	if k == nil {
		return func() {}
	}
	k.turn.Lock()
	return func() {
		k.turn.Unlock()
		k.look()
	}
}

// name is the file that the configuration is to name.
func (k *ticketKeeper) name() string {
	if k == nil {
		return ""
	}
	name := k.file.name()
	k.tell(func(r *link.TicketReport) { r.Off = k.file.why() })
	return name
}

// told is how the load balancer stands with ticket keys.
func (k *ticketKeeper) told() *link.TicketReport {
	k.mu.Lock()
	defer k.mu.Unlock()
	out := k.report
	return &out
}

func (k *ticketKeeper) tell(edit func(*link.TicketReport)) {
	k.mu.Lock()
	before := k.report
	edit(&k.report)
	news := k.report != before
	k.mu.Unlock()
	if news {
		k.changed()
	}
}

// run brings HAProxy to what it should have, whenever that may have changed, until ctx ends.
func (k *ticketKeeper) run(ctx context.Context) {
	tick := time.NewTicker(ticketsEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case text := <-k.briefs:
			k.take(text, k.self())
		case <-k.wake:
		case <-tick.C:
		}
		err := k.bring(ctx)
		if errors.Is(err, hapctl.ErrStaleWorker) { // the session was with the worker of before a reload
			err = k.bring(ctx)
		}
		if err != nil && ctx.Err() == nil {
			k.log.Warn("HAProxy has not got the group's ticket keys; it is tried again", "error", err)
			k.tell(func(r *link.TicketReport) { r.Message = err.Error() })
		}
	}
}

// take works out what a brief asks for: keys, and something to be made for other members.
func (k *ticketKeeper) take(text []byte, self link.Self) {
	b, err := tickets.ParseBrief(text)
	if err != nil {
		k.fail(err)
		return
	}
	if k.file.why() != "" {
		return
	}
	me := tickets.Me{Group: b.Group, Name: self.Name, Key: self.Key, Certificate: self.Certificate, Believe: self.Trust.Agent}
	held, unopened, err := me.Read(b)
	if err != nil {
		k.log.Warn("can't open the secret of ticket keys; another load balancer is asked to hand it on anew", "error", err)
	}
	k.make(me, b.Tasks, held, unopened)
	if len(b.Seeds) == 0 {
		return
	}
	keys, err := tickets.Derive(b.Group, held, b.Seeds)
	if err != nil {
		// The keys that are there stay: clients resume with them, and the secret is on its way.
		k.log.Debug("ticket keys stay as they are", "error", err)
		return
	}
	k.mu.Lock()
	k.want = &wantedKeys{keys, b.Seeds}
	k.mu.Unlock()
}

// make does what the control plane asks for, and says what came of it.
func (k *ticketKeeper) make(me tickets.Me, tasks []tickets.Task, held []tickets.Secret, unopened []int64) {
	now := k.clock()
	var answer tickets.Answer
	for _, epoch := range unopened {
		if now.Sub(k.unopened[epoch]) >= unopenedPause {
			k.unopened[epoch] = now
			answer.Unopened = append(answer.Unopened, epoch)
		}
	}
	for _, t := range tasks {
		o, err := me.Do(t, held, now.UTC(), rand.Reader)
		if err != nil {
			k.fail(err)
		}
		if len(o.Envelopes) > 0 {
			answer.Offers = append(answer.Offers, o)
		}
	}
	if answer.Empty() || k.answer == nil {
		return
	}
	text, err := answer.Encode()
	if err != nil {
		k.fail(err)
		return
	}
	k.answer(text)
}

func (k *ticketKeeper) fail(err error) {
	k.log.Warn("ticket keys: can't do what is asked for", "error", err)
	now := k.clock()
	k.tell(func(r *link.TicketReport) { r.Failed, r.Message = now, err.Error() })
}

// bring gives HAProxy the keys that it should have, the file first, and reads back what it has.
func (k *ticketKeeper) bring(ctx context.Context) error {
	k.turn.Lock()
	defer k.turn.Unlock()
	k.mu.Lock()
	want, client := k.want, k.client
	k.mu.Unlock()
	if want == nil || k.file.why() != "" {
		return nil
	}
	have, running, err := k.has(ctx, client)
	if err != nil {
		return err
	}
	push, ahead := tickets.Pushes(have, want.keys)
	if !ahead {
		if err := k.file.put(want.keys); err != nil {
			return err
		}
		if have, err = k.push(ctx, client, running, push, have); err != nil {
			return err
		}
	}
	generation := tickets.Generation(have, want.keys, want.seeds)
	if generation == 0 {
		return errors.New("HAProxy was read back to have other ticket keys than it was given")
	}
	before := k.told().Generation
	k.tell(func(r *link.TicketReport) { r.Generation, r.Message = generation, "" })
	if generation != before {
		k.log.Info("ticket keys", "generation", generation, "pushed", len(push), "haproxy", running)
	}
	return nil
}

// has gives the keys that HAProxy has, or would read: of one that does not run, or that has no port with TLS, those in
// the file.
func (k *ticketKeeper) has(ctx context.Context, client *hapctl.Client) (have [3]tickets.Digest, running bool, err error) {
	if client == nil {
		return k.file.holds().Digests(), false, nil
	}
	got, err := client.TicketKeys(ctx, k.file.path)
	if refused := (*hapctl.Refused)(nil); errors.As(err, &refused) {
		return k.file.holds().Digests(), false, nil
	}
	return got.Digests, err == nil, err
}

// push sends keys, and gives what HAProxy has afterwards.
func (k *ticketKeeper) push(ctx context.Context, client *hapctl.Client, running bool, push []tickets.Key, have [3]tickets.Digest) ([3]tickets.Digest, error) {
	if !running {
		return k.file.holds().Digests(), nil
	}
	if len(push) == 0 {
		return have, nil
	}
	var texts []string
	for _, key := range push {
		texts = append(texts, key.Base64())
	}
	if err := client.PushTicketKeys(ctx, k.file.path, texts...); err != nil {
		return have, err
	}
	got, err := client.TicketKeys(ctx, k.file.path)
	return got.Digests, err
}

// warning says what is wrong with the machine as far as ticket keys go.
func (k *ticketKeeper) warning() []link.Warning {
	off := k.file.why()
	if off == "" || k.file.path == "" {
		return nil // nobody has asked for them
	}
	return []link.Warning{{Reason: link.TicketKeys, Message: off}}
}

// catchUp asks the control plane for the group's keys before HAProxy starts, so that one which was away for long takes
// clients with the others' keys from the first. It waits for nobody who does not answer.
func (k *ticketKeeper) catchUp(ctx context.Context, o link.Options) {
	if k.file.why() != "" {
		return
	}
	ctx, cancel := context.WithTimeoutCause(ctx, catchUpWithin, errors.New("it took too long"))
	defer cancel()
	text, self, err := link.FetchBrief(ctx, o)
	if err != nil || text == nil {
		k.log.Info("HAProxy starts with the ticket keys that are there: nothing is heard of the group's", "error", err)
		return
	}
	k.take(text, self)
	k.mu.Lock()
	want := k.want
	k.mu.Unlock()
	if want == nil {
		return
	}
	if _, ahead := tickets.Pushes(k.file.holds().Digests(), want.keys); ahead {
		return
	}
	if err := k.file.put(want.keys); err != nil {
		k.log.Warn("HAProxy starts with the ticket keys that are there", "error", err)
	}
}

// DefaultTicketDir is where an agent keeps TLS ticket keys when nobody says: in the folder that systemd has made for
// it, or in memory below a name that is made of the agent's folder.
func DefaultTicketDir(dir, runtime string) (string, error) {
	if runtime != "" {
		return runtime, nil
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("find a folder for ticket keys: %w", err)
	}
	return filepath.Join("/dev/shm", fmt.Sprintf("weir-agent-%d-%.12x", os.Geteuid(), sha256.Sum256([]byte(dir)))), nil
}

// ticketsChanged sends how the load balancer stands with TLS ticket keys, at once.
func (a *Agent) ticketsChanged() {
	r := &a.report
	r.mu.Lock()
	r.report.Tickets = a.tickets.told()
	copied := r.told()
	r.mu.Unlock()
	if copied.State != "" {
		a.client.Report(copied)
	}
}
