package ir

import "weir"

// SameButServers says that two pools differ in their servers at most. That no field is missing here shows
// TestEveryFieldOfAPoolCounts.
func (p *Pool) SameButServers(o *Pool) bool {
	return p.Name == o.Name && p.Mode == o.Mode && p.Balance == o.Balance && p.BalanceHeader == o.BalanceHeader &&
		p.Check == o.Check && p.Cookie == o.Cookie && p.MaxConnections == o.MaxConnections && p.NoQueue == o.NoQueue &&
		p.QueueTimeout == o.QueueTimeout && p.ServerTimeout == o.ServerTimeout && p.SendProxy == o.SendProxy &&
		p.Protocol == o.Protocol && p.Compression.Same(o.Compression) && weir.SameLogic(p.Logic, o.Logic) && p.SlowStart == o.SlowStart && p.Unchecked == o.Unchecked && p.Endpoint.same(o.Endpoint) && (p.TLS == o.TLS || p.TLS != nil && o.TLS != nil && *p.TLS == *o.TLS)
}
