package register

import (
	"context"
	"log/slog"
	"net/http"
	"time"
)

// Pool is one that this server belongs to.
type Pool struct {
	Name string `json:"pool"`
	// In says that the server may take traffic there; State and Reason say why or why not.
	In     bool   `json:"in"`
	State  string `json:"state"`
	Reason string `json:"reason"`
	// Address is where the pool reaches the server, empty when it takes no part.
	Address string `json:"address"`
}

// Pools asks the control plane which pools this server belongs to, with the certificate in a state folder, or one that is
// got for the token.
func Pools(ctx context.Context, s *Service, state string) ([]Pool, error) {
	id, err := openState(state, s.Name, s.CA)
	if err != nil {
		return nil, err
	}
	c := &client{service: s, state: state, now: time.Now, log: slog.New(slog.DiscardHandler), id: id}
	var got struct{ Pools []Pool }
	err = c.known(ctx, func(base string) error {
		return c.ask(ctx, base, http.MethodGet, "/api/v1/servers/"+s.Name+"/pools", "", nil, &got)
	})
	return got.Pools, err
}
