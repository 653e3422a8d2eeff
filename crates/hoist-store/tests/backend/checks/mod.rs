//! What every store does.

mod adding;
mod reading;
mod refusing;
mod roots;
mod trusting;

use crate::site::Site;

/// Gets an empty store, and panics when that does otherwise than it should.
type Check = fn(&Site<'_>);

/// All checks, by name.
pub(crate) const ALL: &[(&str, Check)] = &[
    ("an unknown path is no path", reading::an_unknown_path_is_no_path),
    ("what was added is told", reading::what_was_added_is_told),
    ("paths are listed in order", reading::paths_are_listed_in_order),
    ("a reader that fails is told", reading::a_reader_that_fails_is_told),
    ("a tree is named by its contents", adding::a_tree_is_named_by_its_contents),
    ("a NAR comes back as it was", adding::a_nar_comes_back_as_it_was),
    ("what is there is left unread", adding::what_is_there_is_left_unread),
    ("a large NAR is streamed", adding::a_large_nar_is_streamed),
    ("references are kept", adding::references_are_kept),
    ("a path may refer to itself", adding::a_path_may_refer_to_itself),
    ("adders of one path meet", adding::adders_of_one_path_meet),
    ("adders of many paths do not meet", adding::adders_of_many_paths_do_not_meet),
    ("another NAR is refused", refusing::another_nar_is_refused),
    ("another size is refused", refusing::another_size_is_refused),
    ("what follows a NAR is refused", refusing::what_follows_a_nar_is_refused),
    ("a NAR cut anywhere is refused", refusing::a_nar_cut_anywhere_is_refused),
    ("a source that fails is told", refusing::a_source_that_fails_is_told),
    ("a missing reference is refused", refusing::a_missing_reference_is_refused),
    ("another content address is refused", refusing::another_content_address_is_refused),
    ("a self reference by content is refused", refusing::a_self_reference_by_content_is_refused),
    ("a pipe in a tree is refused", refusing::a_pipe_in_a_tree_is_refused),
    ("an unsigned path is refused", trusting::an_unsigned_path_is_refused),
    ("a signed path is taken", trusting::a_signed_path_is_taken),
    ("content vouches for itself", trusting::content_vouches_for_itself),
    ("signatures are added once", trusting::signatures_are_added_once),
    ("a temporary root is of any path", roots::a_temporary_root_is_of_any_path),
    ("a root is a link that can move", roots::a_root_is_a_link_that_can_move),
    ("a root replaces nothing else", roots::a_root_replaces_nothing_else),
    ("a root is of a valid path", roots::a_root_is_of_a_valid_path),
];
