# Installs FILE under DIRECTORY as NAME.gz, of COMPONENT. -n keeps time and name out, so that the
# result depends on the content only.
find_program(gzip_program gzip REQUIRED)

function(inflight_install_compressed file directory name component)
  get_filename_component(source ${file} ABSOLUTE BASE_DIR ${CMAKE_CURRENT_SOURCE_DIR})
  string(MD5 identity "${directory}/${name}")
  set(made ${CMAKE_CURRENT_BINARY_DIR}/${name}.${identity}.gz)
  add_custom_command(
    OUTPUT ${made}
    COMMAND ${gzip_program} -9nc ${source} > ${made}
    DEPENDS ${source}
    VERBATIM)
  add_custom_target(compressed_${identity} ALL DEPENDS ${made})
  install(
    FILES ${made}
    DESTINATION ${directory}
    RENAME ${name}.gz
    COMPONENT ${component})
endfunction()
