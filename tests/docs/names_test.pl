#!/usr/bin/perl
# names_test.pl NAMES PAGE: the tables of the page, above its examples, have each name of the list, as code.
# A line of the list is "where: name name ..."; one that begins with a blank goes on; # begins a remark.
use strict;
use warnings;

my ($list, $page) = @ARGV;
die "usage: names_test.pl NAMES PAGE\n" unless @ARGV == 2;

my %there;
open my $in, '<', $page or die "$page: $!\n";
while (<$in>) {
    last if /^# Examples$/;
    $there{$_} = 1 for map { /\w+/g } /`([^`]+)`/g;
}

my ($where, $names, $missing) = ('', 0, 0);
open $in, '<', $list or die "$list: $!\n";
while (<$in>) {
    next if /^#/;
    $where = $1 if s/^([\w.]+)://;
    for my $name (split) {
        $names++;
        next if $there{$name};
        $missing++;
        print "$page: $name of $where is not named\n";
    }
}
print "names: $names, $missing of them missing\n";
exit($missing || $names < 300 ? 1 : 0);
