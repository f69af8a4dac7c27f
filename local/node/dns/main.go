// Command coredns is CoreDNS with only the plugins that conf/Corefile names.
// The stock program also links the client libraries of every large cloud.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/hosts"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/template"
)

func main() {
	// The order in which CoreDNS runs them, whatever the Corefile's order; it must stay upstream's.
	dnsserver.Directives = []string{"bind", "ready", "errors", "cache", "template", "hosts", "kubernetes"}
	coremain.Run()
}
