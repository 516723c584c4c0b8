package main

import (
	"context"

	"weir/internal/api"
	"weir/internal/ir"
)

// Connected implements api.TrySource.
func (s *standIn) Connected(string) bool { return true }

// Try implements api.TrySource: servers at port 8080 pass, the others answer what nobody should print.
func (s *standIn) Try(_ context.Context, _ string, node ir.Node) (map[string]api.Tried, error) {
	results := map[string]api.Tried{}
	for _, server := range node.Pools[0].Servers {
		r := api.Tried{Status: "L7STS", Code: 503, TookMs: 12, Said: "answers 503: \x1b[2JService Unavailable"}
		if server.Address.Port() == 8080 {
			r = api.Tried{Passed: true, Status: "L7OK", Code: 200, TookMs: 3, Said: "passes: OK"}
		}
		results[server.Name] = r
	}
	return results, nil
}
