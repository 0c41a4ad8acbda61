#!/usr/bin/perl
# layers.pl ROOT: nobody includes a header of a layer that does not stand to its left, public or internal.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use source;

my $root = $ARGV[0] or die "usage: layers.pl ROOT\n";

# What each layer stands on directly. Two columns grow from sync and meet in the adapters only.
my %left = (
    base    => [],
    sync    => ['base'],
    queue   => ['sync'],
    pool    => ['queue'],
    codec   => ['sync'],
    store   => ['codec'],
    adapter => ['store'],
    flow    => ['adapter'],
    runtime => ['flow'],
    testing => ['runtime'],
);
# Where each public header belongs. A new one is put in its place here.
my %public = (
    base => 'base', fork_join => 'pool', pool => 'pool', message => 'codec', fields => 'codec', store => 'store',
    task => 'adapter', adapter => 'adapter', flow => 'flow', flow_data => 'runtime', inspect => 'runtime', control => 'runtime', client => 'runtime',
    dead => 'runtime', doctor => 'runtime', stats => 'runtime', workers => 'runtime',
    testing => 'testing', mageflow => 'everything',
);
# Libraries that only adapters may know.
my $foreign = qr{^(hiredis|nghttp2)\b};

sub may_see {
    my ($layer) = @_;
    return ($layer, map { may_see($_) } @{ $left{$layer} });
}

my @sources = files($root, qr/\.[ch]$/, qw(lib adapters cli examples));
my %owner;    # internal header → its folder
for my $path (@sources) {
    next unless $path =~ m{^(.*)/([^/]+\.h)$} && $path !~ m{/include/mageflow/};
    $owner{$2} = $1;
}

for my $path (@sources) {
    my ($folder, $file) = $path =~ m{^(.*)/([^/]+)$};
    my $layer = $folder =~ m{^lib(?:/(\w+))?} ? $1 // "lib" : '';
    $layer = $public{ $file =~ s/\.h$//r } // complain("$path: which layer is it of? see layers.pl") && next
        if $layer eq 'include';
    complain("$path: a folder of lib/ that layers.pl does not know"), next
        if $layer && $layer ne 'everything' && !$left{$layer};
    my %allowed = $layer && $layer ne 'everything' ? map { $_ => 1 } may_see($layer) : ();

    for my $include (includes(slurp("$root/$path"))) {
        my ($name, $line) = @$include;
        my $at = "$path:$line: includes $name";
        complain("$at, which belongs under adapters/") if $name =~ $foreign && $folder !~ m{^adapters/};

        if ($name =~ m{^mageflow/(\w+)\.h$}) {
            next unless $layer;
            my $of = $public{$1};
            next if $layer eq 'everything' || ($of && $allowed{$of});
            complain($of ? "$at of '$of', which does not stand to the left of '$layer'" : "$at, unknown to layers.pl")
                unless -f "$root/adapters/$layer/$name";
            next;
        }
        next if -f "$root/$folder/$name";    # its own folder's
        my $of = $owner{$name =~ s{.*/}{}r} or next;
        if ($layer) {
            my ($target) = $of =~ m{^lib/(\w+)};
            complain("$at of '$of', which does not stand to the left of '$layer'") unless $target && $allowed{$target};
        } elsif ($folder =~ m{^adapters/(\w+)}) {
            my $mine = $1;
            my %help = map { $_ => 1 } $mine, qw(link redis);
            complain("$at of '$of': adapters share link and redis only")
                if $of =~ m{^adapters/(\w+)} && !$help{$1};
        } elsif ($folder =~ m{^(cli|examples)} && $of !~ m{^\Q$1\E\b}) {
            complain("$at of '$of': $1 stands on the public headers alone");
        }
    }
}
verdict('direction of dependency', scalar @sources);
