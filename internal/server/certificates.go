package server

import (
	"context"
	"fmt"
	"time"

	"weir/internal/certs"
	"weir/internal/dns01"
	"weir/internal/ir"
)

// leadCertificates is the work of ordering and renewing certificates, which one server does.
const leadCertificates = "certificates"

// acmePoll is the first pause between two looks at an order, where the authority names none.
const acmePoll = 250 * time.Millisecond

// openPrograms opens the folder of challenge programs, if there is one.
func (s *server) openPrograms(context.Context) (err error) {
	if s.opts.ChallengePrograms == "" {
		return nil
	}
	if s.programs, err = dns01.NewHooks(dns01.HookOptions{Folder: s.opts.ChallengePrograms}); err != nil {
		return fmt.Errorf("open the folder of challenge programs: %w", err)
	}
	return nil
}

func (s *server) certificates() *certs.Keeper {
	return certs.New(certs.Options{
		Store: s.store, Answerer: answerer{s}, Programs: s.programs, Clock: s.opts.Clock, Log: s.opts.Log,
		Agent: "weir/" + s.opts.Version, Poll: acmePoll,
	})
}

// answerer has the load balancers of all servers answer http-01 challenges.
type answerer struct{ *server }

// Answer shares them with the other servers; it is the load balancers' at once after that.
func (a answerer) Answer(ctx context.Context, list []certs.Challenge) error {
	shared := make([]Challenge, len(list))
	for i, c := range list {
		shared[i] = Challenge{Name: c.Name, Challenge: ir.Challenge{Token: c.Token, Answer: c.Answer}}
	}
	return a.shareChallenges(ctx, shared)
}

// Missing says what is missing until the authority may look.
func (a answerer) Missing(tokens []string) []string { return a.fleet.ChallengesServed(tokens) }
