# Where an installed suite lives, below the prefix /usr: daemons in lib/tambo (where tambo(8) looks
# for them), the command in sbin, pages in share/man, what systemd needs in its folders.
include(GNUInstallDirs)
foreach(daemon master smtpd queued relayd deliverd imapd pop3d mailboxd authd keyd dnsd logd)
  if(TARGET ${daemon})
    install(TARGETS ${daemon} RUNTIME DESTINATION lib/tambo)
  endif()
endforeach()
if(TARGET tambo)
  install(TARGETS tambo RUNTIME DESTINATION sbin)
endif()

# Pages of daemons as imapd.8tambo: other packages have an imapd(8), too. `man 8 imapd` finds it.
file(GLOB pages CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/man/*.[1-8])
foreach(page ${pages})
  string(REGEX MATCH "[1-8]$" section ${page})
  get_filename_component(name ${page} NAME)
  if(section EQUAL 8 AND NOT name STREQUAL "tambo.8")
    string(APPEND name tambo)
  endif()
  install(FILES ${page} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section} RENAME ${name})
endforeach()

# sendmail(1), mailq(1) and newaliases(1) are names of tambo(8). They are also those of every other
# mail server: a package has to conflict with mail-transport-agent.
function(tambo_install_link target link)
  install(CODE "
    set(link \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${link}\")
    get_filename_component(folder \"\${link}\" DIRECTORY)
    file(MAKE_DIRECTORY \"\${folder}\")
    file(CREATE_LINK ${target} \"\${link}\" SYMBOLIC)
    message(STATUS \"Link: \${link}\")")
endfunction()
tambo_install_link(tambo sbin/sendmail)
tambo_install_link(../sbin/tambo bin/mailq)
tambo_install_link(../sbin/tambo bin/newaliases)
tambo_install_link(sendmail.1 ${CMAKE_INSTALL_MANDIR}/man1/mailq.1)
tambo_install_link(sendmail.1 ${CMAKE_INSTALL_MANDIR}/man1/newaliases.1)

install(FILES etc/completion/tambo DESTINATION share/bash-completion/completions)
install(FILES etc/tambo.service DESTINATION lib/systemd/system)
install(FILES etc/tambo.sysusers DESTINATION lib/sysusers.d RENAME tambo.conf)
install(FILES etc/tambo.tmpfiles DESTINATION lib/tmpfiles.d RENAME tambo.conf)
