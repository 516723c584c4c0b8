package server

import (
	"context"
	"encoding/json"
	"time"

	"weir/internal/api"
	"weir/internal/link"
)

// errands asks load balancers for small things on behalf of the API.
type errands struct{ hub *link.Hub }

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
