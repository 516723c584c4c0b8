package server

import (
	"context"
	"encoding/json"
	"time"

	"weir/internal/api"
	"weir/internal/ir"
	"weir/internal/link"
)

// errands asks load balancers for small things on behalf of the API.
type errands struct {
	hub   *link.Hub
	clock func() time.Time
}

// logWithin is how long one errand follows a log; who follows longer asks again.
const logWithin = 10 * time.Minute

// Log implements api.LogSource.
func (e errands) Log(ctx context.Context, loadBalancer string, ask api.LogAsk, take func(api.LogPart)) error {
	body, err := json.Marshal(link.LogAsk(ask))
	if err != nil {
		return err
	}
	asked, cancel := context.WithTimeout(ctx, logWithin)
	defer cancel()
	err = e.hub.Ask(asked, loadBalancer, link.Errand{Kind: link.LogErrand, Body: body, Within: 2 * logWithin}, func(line json.RawMessage) error {
		var answer link.LogAnswer
		if err := json.Unmarshal(line, &answer); err != nil {
			return err
		}
		part := api.LogPart{Left: max(0, answer.Left), Live: answer.Live, Run: answer.Run, After: answer.After}
		for _, raw := range answer.Entries {
			var l struct {
				Site string `json:"site"`
				api.LogLine
			}
			if err := json.Unmarshal(raw, &l); err != nil {
				return err
			}
			if l.Site != ask.Site {
				continue // whatever an agent says: of other sites nothing is told
			}
			l.LoadBalancer = loadBalancer
			part.Lines = append(part.Lines, l.LogLine)
		}
		take(part)
		return nil
	})
	if asked.Err() != nil && ctx.Err() == nil {
		return nil // in the midst of it, and nothing is wrong
	}
	return err
}

// tryWithin is how long a try may take, the turn of others included.
const tryWithin = 25 * time.Second

// Try implements api.TrySource.
func (e errands) Try(ctx context.Context, loadBalancer string, node ir.Node) (map[string]api.Tried, error) {
	body, err := json.Marshal(link.TryAsk{Node: node})
	if err != nil {
		return nil, err
	}
	results := map[string]api.Tried{}
	err = e.hub.Ask(ctx, loadBalancer, link.Errand{Kind: link.TryErrand, Body: body, Within: tryWithin}, func(line json.RawMessage) error {
		var a link.TryAnswer
		if err := json.Unmarshal(line, &a); err != nil {
			return err
		}
		results[a.Server] = api.Tried{Passed: a.Passed, Status: a.Status, Code: a.Code, TookMs: a.TookMs, Said: a.Said}
		return nil
	})
	return results, err
}

// Connected implements api.TrySource: its agent may be connected to another control plane of the store.
func (e errands) Connected(loadBalancer string) bool {
	rep, heard := e.hub.Reports().Get(loadBalancer)
	return heard && e.clock().Sub(rep.At) < heardWithin
}
