package weir

// maxFileName is the longest name of a file on Linux, in bytes.
const maxFileName = 255

// validateNamespace checks the name of a network namespace, which is that of a file.
func (l *LoadBalancer) validateNamespace(p *Problems) {
	const path = "namespace"
	name := l.Namespace
	switch {
	case name == "":
		return
	case len(name) > maxFileName:
		p.Add(path, "is longer than %d bytes, which no name of a file is", maxFileName)
		return
	case name == "." || name == "..":
		p.Add(path, "%q names a folder; give the name of a network namespace, as ip netns list shows it", name)
		return
	}
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			p.Add(path, "%q is no name of a network namespace: letters, digits, '-', '_' and '.' are, as ip netns list shows it", name)
			return
		}
	}
}
