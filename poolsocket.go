package weir

import "strings"

// ownSockets begins the names of the abstract sockets at which HAProxies of Weir's meet themselves.
const ownSockets = "weir-"

// validateSocket checks a member that is at an abstract socket.
func (m *Member) validateSocket(p *Problems, path string, o *Pool) {
	if m.Address.IsValid() || m.Port != 0 {
		p.Add(path+".socket", "stands in place of address and port; leave those out")
	}
	if err := CheckName(m.Socket); err != nil {
		p.Add(path+".socket", "%s", err)
	} else if strings.HasPrefix(m.Socket, ownSockets) {
		p.Add(path+".socket", "names that begin with %s are Weir's own", ownSockets)
	}
	if o.HealthCheck != nil && o.HealthCheck.Port != 0 {
		p.Add("healthCheck.port", "member %s is at a socket, which has no port; leave it out, or make a pool of its own for it", clip(m.Name))
	}
}

// sockets refuses members at sockets to whoever has but a role.
func (c *checker) sockets(o *Object, p *Pool) {
	if o.Metadata.Role == "" {
		return
	}
	for i, m := range p.Members {
		if m.Socket != "" {
			c.add(o.Ref(), index("spec.members", i)+".socket", "sockets of the load balancers' machines are for pools without a role, which admins write; Sites of every role can name such a pool")
		}
	}
}
