package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"weir/internal/api"
)

// convergeWithin is how long --wait waits when nothing else is said.
const convergeWithin = 60 * time.Second

// streamLine is one line of a stream of the API.
type streamLine struct {
	Type     string        `json:"type"`
	Revision int64         `json:"revision"`
	Progress *api.Progress `json:"progress"`
	Problem  *api.Problem  `json:"problem"`
}

// errEnded is a stream that ended before it had said everything; asking again goes on.
var errEnded = errors.New("the stream ended")

// stream reads lines until take is done or says why not, the stream ends, or ctx does.
func (c *client) stream(ctx context.Context, path string, query url.Values, take func(streamLine) (done bool, err error)) error {
	resp, err := c.send(ctx, call{method: http.MethodGet, path: path, query: query})
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(make([]byte, 64<<10), longestLine)
	for lines.Scan() {
		var line streamLine
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return fmt.Errorf("read the stream of %s: %w", c.base.Host, err)
		}
		if line.Type == "error" && line.Problem != nil {
			return &refusal{*line.Problem}
		}
		if done, err := take(line); done || err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return errEnded
}

// follow shows how the fleet comes to a revision until it has, or says after a while who has not. Before it says that
// all is there it asks judge, if there is one, whether something speaks against that.
func (c *client) follow(cmd *cobra.Command, revision int64, within time.Duration, judge func() error) error {
	ctx, cancel := context.WithCancelCause(cmd.Context())
	defer cancel(nil)
	deadline := time.AfterFunc(within, func() { cancel(errTimeout) })
	defer deadline.Stop()
	p := &progressView{screen: screenOf(cmd, cmd.ErrOrStderr()), start: wallClock()}
	var last *api.Progress
	for {
		err := c.stream(ctx, "status", url.Values{"wait": {itoa(revision)}}, func(line streamLine) (bool, error) {
			if line.Progress != nil {
				last = line.Progress
				p.show(last)
			}
			// Waves take their time; who has not said how long to wait sees them to their end.
			if last != nil && inWaves(last) && !cmd.Flags().Changed("timeout") {
				deadline.Reset(within)
			}
			return last != nil && last.Done, nil
		})
		switch {
		case err == nil && halted(last) != nil:
			p.clear()
			return halted(last)
		case err == nil:
			return p.finish(last, judge)
		case cmd.Context().Err() != nil:
			p.clear()
			return interruptedError(fmt.Sprintf("stopped waiting; revision %d stays and the load balancers go on", revision))
		case errors.Is(context.Cause(ctx), errTimeout) && last != nil && last.Programmed:
			// What was still awaited is only how the new servers are.
			return p.finish(last, judge)
		case errors.Is(context.Cause(ctx), errTimeout):
			p.clear()
			return laggards(revision, last, within)
		case !again(err):
			p.clear()
			return err
		}
		// The control plane restarts, or the network blinked.
		select {
		case <-ctx.Done():
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// inWaves says that a group is brought what is waited for in waves.
func inWaves(p *api.Progress) bool {
	return slices.ContainsFunc(p.Groups, func(g api.GroupProgress) bool { return g.InWaves })
}

// halted says which waves will bring nothing without somebody's doing, nil when all will.
func halted(p *api.Progress) error {
	var b strings.Builder
	for _, g := range p.Groups {
		if g.Halted {
			fmt.Fprintf(&b, "\n  %s %d/%d: %s", g.Name, g.Ready, g.Of, oneLine(g.Message))
		}
	}
	if b.Len() == 0 {
		return nil
	}
	return fmt.Errorf("revision %d does not go on%s", p.Revision, b.String())
}

// again says whether asking once more may help: what was refused stays refused, but not by a busy server.
func again(err error) bool {
	var r *refusal
	return !errors.As(err, &r) || r.Status >= http.StatusInternalServerError || r.Status == http.StatusTooManyRequests
}

// laggards says who does not have a revision, and why as far as that is known.
func laggards(revision int64, last *api.Progress, within time.Duration) error {
	if last == nil {
		return fmt.Errorf("revision %d: the control plane told nothing about it within %s", revision, within)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "revision %d is not everywhere after %s", revision, within)
	for _, g := range last.Groups {
		if g.Ready >= g.Of && len(g.Laggards) == 0 {
			continue
		}
		fmt.Fprintf(&b, "\n  %s %d/%d: %s", g.Name, g.Ready, g.Of, lagging(g))
	}
	return errors.New(b.String())
}

// lagging names those of a group that lag, and says what holds up the first.
func lagging(g api.GroupProgress) string {
	names := some(g.Laggards, 10)
	switch {
	case g.InWaves:
		return g.Message
	case len(g.Laggards) == 1 && strings.HasPrefix(g.Message, names+" "):
		return g.Message // it names it
	case len(g.Laggards) == 1:
		names += " lags"
	default:
		names += " lag"
	}
	if g.Message != "" {
		names += "; " + g.Message
	}
	return names
}

// progressView shows progress: on a terminal in one line that is written over, elsewhere a line for each step.
type progressView struct {
	*screen
	start time.Time
	shown bool
	last  string
	told  time.Time
	count string // of load balancers, as it was told last
}

// steady is how often a log is told of something that does not move.
const steady = 10 * time.Second

func (p *progressView) show(now *api.Progress) {
	if now.Done {
		return
	}
	var parts []string
	var counts strings.Builder
	for _, g := range now.Groups {
		fmt.Fprintf(&counts, "%d/%d ", g.Ready, g.Of)
		color := p.warning
		if g.Ready >= g.Of {
			color = p.good
		}
		part := clean(g.Name) + " " + color(fmt.Sprintf("%d/%d", g.Ready, g.Of))
		if len(g.Laggards) > 0 && g.Ready < g.Of {
			part += " waiting for " + clean(some(g.Laggards, 3))
		}
		if g.Message != "" {
			part += " (" + oneLine(g.Message) + ")"
		}
		parts = append(parts, part)
	}
	text := fmt.Sprintf("revision %d: %s", now.Revision, strings.Join(parts, "; "))
	if text == p.last {
		return
	}
	if !p.live {
		// A log wants to know that something moves, not each step, nor for how long it has not.
		pause := time.Second
		if counts.String() == p.count {
			pause = steady
		}
		if now := time.Now(); now.Sub(p.told) >= pause {
			p.told, p.count, p.last = now, counts.String(), text
			p.line(text)
		}
		return
	}
	p.last = text
	p.clear()
	if p.colors {
		// What was cut could end inside a colour.
		p.printf("%s\x1b[0m", cutStyled(text, p.width-1))
	} else {
		p.printf("%s", cut(text, p.width-1))
	}
	p.shown = true
}

// clear takes the line away.
func (p *progressView) clear() {
	if p.shown {
		p.printf("\r\x1b[K")
		p.shown = false
	}
}

func (p *progressView) finish(last *api.Progress, judge func() error) error {
	p.clear()
	if judge != nil {
		if err := judge(); err != nil {
			return err
		}
	}
	all := 0
	for _, g := range last.Groups {
		all += g.Of
	}
	if all == 0 {
		p.printf("Revision %d concerns no load balancer.\n", last.Revision)
		return nil
	}
	where := "on all " + count(all, "load balancer", "load balancers")
	if all == 1 {
		where = "on the one load balancer"
	}
	p.printf("%s\n", p.good(fmt.Sprintf("Revision %d is %s it concerns.", last.Revision, where))+p.faint(" "+wallClock().Sub(p.start).Round(10*time.Millisecond).String()))
	return nil
}

// cutStyled is cut for a text with colours: escapes take no place.
func cutStyled(text string, width int) string {
	var b strings.Builder
	used, escape := 0, false
	for _, r := range text {
		switch {
		case r == '\x1b':
			escape = true
		case escape:
			escape = r < '@' || r > '~' || r == '['
		case used >= width-1:
			b.WriteRune('…')
			return b.String()
		default:
			used++
		}
		b.WriteRune(r)
	}
	return b.String()
}
